// node componentize.mjs notes.js handler.wasm        (after: npm install @bytecodealliance/componentize-js)
import { readFile, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [source, to, worldName = "http-handler"] = process.argv.slice(2);
const witPath = new URL("..", import.meta.url).pathname;
// Nothing of WASI is here, so nothing of it may be imported.
const disableFeatures = ["stdio", "random", "clocks", "http", "fetch-event"];
const { component } = await componentize(await readFile(source, "utf8"), { witPath, worldName, disableFeatures });
await writeFile(to, component);
