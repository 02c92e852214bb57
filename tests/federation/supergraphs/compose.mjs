// Composes each folder's *.graphql into its supergraph.graphql: `node compose.mjs [folder …]`. For the tests' own folders only.
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const require = createRequire(new URL("../../../graphql/compose.mjs", import.meta.url));
const { parse } = require("graphql");
const { composeServices, compositionHasErrors } = require("@theguild/federation-composition");

const here = new URL("./", import.meta.url);
const named = process.argv.slice(2);
const folders = named.length ? named : readdirSync(here, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name);
for (const folder of folders.sort()) {
  const at = new URL(`./${folder}/`, here);
  const files = readdirSync(at).filter((name) => name.endsWith(".graphql") && name !== "supergraph.graphql").sort();
  const texts = files.map((name) => readFileSync(new URL(name, at), "utf8"));
  const services = files.map((file, index) => {
    const name = file.replace(/\.graphql$/, "");
    return { name, url: `http://${name}/graphql`, typeDefs: parse(texts[index]) };
  });
  const result = composeServices(services);
  if (compositionHasErrors(result)) {
    for (const error of result.errors) console.error(`${folder}: ${error.extensions?.code ?? "INVALID_GRAPHQL"}: ${error.message}`);
    process.exitCode = 1;
    continue;
  }
  const hash = createHash("sha256").update(texts.join("")).digest("hex");
  writeFileSync(new URL("supergraph.graphql", at), `# inputs: ${hash}\n${result.supergraphSdl.trimEnd()}\n`);
}
