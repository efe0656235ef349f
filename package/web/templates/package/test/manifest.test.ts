import assert from "node:assert/strict";
import { test } from "node:test";

import { LoadError } from "../src/load/errors.js";
import { parseManifest } from "../src/load/manifest.js";
import { DIGEST, manifestText, TOKENS, toy } from "./toy.js";

function codeOf(text: string): string {
  try {
    parseManifest(text, toy, DIGEST);
    return "";
  } catch (error) {
    assert.ok(error instanceof LoadError, String(error));
    return error.code;
  }
}

const entry = { sha256: DIGEST, bytes: 9 };
const words = { sha256: TOKENS, bytes: 8 };

void test("a manifest names its functions, vocabularies and files", () => {
  const manifest = parseManifest(manifestText(), toy, DIGEST);
  assert.deepEqual(manifest.functions.get("main"), { graph: "main.onnx", data: [] });
  assert.equal(manifest.vocabularies.get("item")?.tokens, "item.txt");
  assert.equal(manifest.files.get("item.txt")?.bytes, 8);
});

for (const path of ["../up", "a/../b", "/root", "https://elsewhere/x", "//elsewhere/x", "a\\b", "a?b", "a%2e", "", "a//b"]) {
  void test(`a file may not be listed as ${JSON.stringify(path)}`, () => {
    const files = { "main.onnx": entry, "item.txt": words, [path]: entry };
    assert.equal(codeOf(manifestText({ files })), "bad_manifest");
  });
}

for (const [what, replaced] of [
  ["no object", { files: [] }],
  ["another schema", { schema: 2 }],
  ["a function less", { functions: {} }],
  ["a graph that is not listed", { functions: { main: { graph: "other.onnx", data: [] } } }],
  ["no digest", { files: { "main.onnx": { sha256: "x", bytes: 9 }, "item.txt": words } }],
  ["half a byte", { files: { "main.onnx": { ...entry, bytes: 0.5 }, "item.txt": words } }],
  ["another vocabulary", { files: { "main.onnx": entry, "item.txt": entry } }],
] as const) {
  void test(`a manifest with ${what} is refused`, () => {
    assert.equal(codeOf(manifestText(replaced)), "bad_manifest");
  });
}

void test("a manifest of another contract is refused as such", () => {
  assert.equal(codeOf(manifestText({ contract_sha256: "f".repeat(64) })), "other_contract");
});

void test("what is no JSON is refused", () => {
  assert.equal(codeOf("<!doctype html>"), "bad_manifest");
});
