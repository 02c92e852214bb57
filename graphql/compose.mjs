// Composes subgraphs/*.graphql into supergraph.graphql, on standard output. It decides nothing about personal data.
import { readFileSync, readdirSync } from "node:fs";
import { parse } from "graphql";
import { composeServices, compositionHasErrors } from "@theguild/federation-composition";

const folder = new URL("./subgraphs/", import.meta.url);
const services = readdirSync(folder)
  .filter((name) => name.endsWith(".graphql"))
  .sort()
  .map((name) => ({
    name: name.replace(/\.graphql$/, ""),
    url: `http://${name.replace(/\.graphql$/, "")}/graphql`,
    typeDefs: parse(readFileSync(new URL(name, folder), "utf8")),
  }));

const result = composeServices(services);
if (compositionHasErrors(result)) {
  for (const error of result.errors) console.error(`${error.extensions?.code ?? "INVALID_GRAPHQL"}: ${error.message}`);
  process.exit(1);
}
process.stdout.write(result.supergraphSdl.trimEnd() + "\n");
