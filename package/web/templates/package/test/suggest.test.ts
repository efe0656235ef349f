import assert from "node:assert/strict";
import { test } from "node:test";

import { Items } from "../src/host/index.js";
import { Finder } from "../src/load/suggest.js";

const spec = { size: 6, padding_id: 0, unknown_id: null, sha256: "" };
const titles = ["Heat in the padding", "The Heat", "Heat", "Wheat", "", "Élodie"];
const finder = new Finder(new Items("item", spec, ["pad", "1", "2", "3", "heater", "5"], titles));

void test("what begins with the text comes first, then words that do, then any part; set-aside ids never", () => {
  assert.deepEqual(finder.find("heat", 8), [2, 4, 1, 3]);
});

void test("at most as many as asked for are found", () => {
  assert.deepEqual(finder.find("heat", 2), [2, 4]);
  assert.deepEqual(finder.find("heat", 0), []);
});

void test("case and accents make no difference, and nothing typed finds nothing", () => {
  assert.deepEqual(finder.find("ELOD", 8), [5]);
  assert.deepEqual(finder.find("  ", 8), []);
});
