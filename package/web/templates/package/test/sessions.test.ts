import assert from "node:assert/strict";
import { test } from "node:test";

import { parseManifest } from "../src/load/manifest.js";
import type { Engine, Ort } from "../src/load/provider.js";
import { Sessions } from "../src/load/sessions.js";
import { DIGEST, manifestText, toy } from "./toy.js";

/** The toy's sessions on an onnxruntime-web that says this. */
function refused(message: string): Promise<Sessions> {
  const create = (): Promise<never> => Promise.reject(new Error(message));
  const ort = { env: {}, InferenceSession: { create } } as unknown as Ort;
  const engine: Engine = { ort, provider: "wasm", threads: 1 };
  const manifest = parseManifest(manifestText(), toy, DIGEST);
  return Sessions.create(engine, manifest, new Map([["main.onnx", new Uint8Array(9)]]), undefined);
}

void test("an onnxruntime-web that does not start is no fault of the model", async () => {
  const ended = refused("no available backend found. ERR: [wasm] RuntimeError: Aborted(both fetches failed)");
  await assert.rejects(ended, { name: "LoadError", code: "no_runtime", message: /\.wasm file, or pass ortUrl.*reload the page$/ });
});

void test("a model that onnxruntime-web refuses is built again", async () => {
  const ended = refused("Can't create a session. ERROR_CODE: 9, Could not find an implementation for Loop(19)");
  await assert.rejects(ended, { name: "LoadError", code: "session_failed", message: /build the bundle with \[targets\.web\]$/ });
});
