// Replays tapes: node tapes.mjs <compiled host> < tapes.json > differences.json
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { Host, Items, numbersOf, replay, replayRules, tensorOf } = await import(pathToFileURL(process.argv[2]).href);
const key = (name, inputs) => JSON.stringify([name, Object.entries(inputs).sort(([a], [b]) => (a < b ? -1 : 1))]);
const found = {};
for (const [name, tape] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const runs = new Map(tape.runs.map((each) => [key(each.function, each.inputs), each.outputs]));
  const vocabularies = new Map(
    Object.entries(tape.vocabularies).map(([each, { tokens, titles = [], spellings = [] }]) => [
      each,
      new Items(each, tape.contract.vocabularies[each], tokens, titles, spellings),
    ]),
  );
  const run = async (each, inputs) => {
    const plain = Object.entries(inputs).map(([input, t]) => [
      input,
      { dtype: t.dtype, shape: t.shape, data: t.dtype === "bool" ? numbersOf(t).map(Boolean) : numbersOf(t) },
    ]);
    const outputs = runs.get(key(each, Object.fromEntries(plain)));
    if (outputs === undefined) throw new Error(`not on the tape: ${key(each, Object.fromEntries(plain))}`);
    return Object.fromEntries(Object.entries(outputs).map(([output, t]) => [output, tensorOf(t.dtype, t.shape, t.data)]));
  };
  const host = new Host({ contract: tape.contract, vocabularies, run, tokenize: () => [1] });
  const tolerances = Object.fromEntries(Object.keys(tape.contract.functions).map((each) => [each, { any: 1e-9 }]));
  try {
    const calls = await replay(host, tape.vectors, tolerances, 0);
    const rules = replayRules(host, tape.vectors);
    found[name] = { compared: calls.compared, rules: rules.compared, differences: [...calls.differences, ...rules.differences] };
  } catch (error) {
    found[name] = { compared: 0, rules: 0, differences: [String(error)] };
  }
}
process.stdout.write(JSON.stringify(found));
