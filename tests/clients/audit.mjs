// Runs every audit of graphql-http against an address: `node audit.mjs URL`. Prints what is not passed, then the count.
import { serverAudits } from "graphql-http";

let passed = 0;
let of = 0;
for (const audit of serverAudits({ url: process.argv[2], fetchFn: fetch })) {
  // A caller has so many requests a second (docs/gateway.md), and audits come faster than that.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { status, reason } = await audit.fn();
  of += 1;
  if (status === "ok") passed += 1;
  else console.log(`${audit.id} ${status}: ${audit.name}: ${reason}`);
}
console.log(JSON.stringify({ passed, of }));
