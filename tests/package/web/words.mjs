// Replays vectors of text and of beam search: node words.mjs <compiled host> < vectors.json > answers.json
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { beamSearch, Items, PrefixTrie, tokenize } = await import(pathToFileURL(process.argv[2]).href);
const { spec, tokens, texts, searches } = JSON.parse(readFileSync(0, "utf8"));
const items = new Items("word", spec, tokens);
const cut = texts.map(({ text, tokenizer, most }) => tokenize(text, tokenizer, items, most));
const found = [];
for (const { catalogue, logits, beamWidth } of searches) {
  const step = async (prefixes) => prefixes.map((each) => logits[each.slice(1).join(",")]);
  found.push(await beamSearch(step, new PrefixTrie(catalogue), { beamWidth }));
}
const ends = new AbortController();
let steps = 0;
const stop = async (prefixes) => {
  steps += 1;
  ends.abort();
  return prefixes.map(() => Array(9).fill(0));
};
const aborted = await beamSearch(stop, new PrefixTrie([[1, 2]]), { signal: ends.signal }).catch((error) => error.name);
const refused = {};
for (const [name, row] of Object.entries({ nan: Array(9).fill(NaN), short: [0] })) {
  const step = async (prefixes) => prefixes.map(() => row);
  refused[name] = await beamSearch(step, new PrefixTrie([[1, 2]])).catch((error) => error.code ?? error.name);
}
process.stdout.write(JSON.stringify({ cut, found, aborted, steps, refused }));
