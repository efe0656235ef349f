import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { fetchFiles, folderUrl, type Source } from "../src/load/fetching.js";
import { parseManifest } from "../src/load/manifest.js";
import { Store } from "../src/load/store.js";
import { DIGEST, manifestText, toy } from "./toy.js";

/** The files of the toy, from a server whose answer breaks off; `before` is told when it does. */
async function broken(context: TestContext, signal: AbortSignal | undefined, before: () => void): Promise<unknown> {
  context.mock.method(globalThis, "fetch", () => {
    const body = new ReadableStream({
      pull(controller) {
        before();
        controller.error(new DOMException("BodyStreamBuffer was aborted", "AbortError"));
      },
    });
    return Promise.resolve(new Response(body));
  });
  const url = new URL("http://localhost/model/");
  const source: Source = { url, store: await Store.open(false), signal, onState: () => undefined };
  return fetchFiles(source, parseManifest(manifestText(), toy, DIGEST), ["main.onnx"]);
}

void test("a loading that is ended while a file arrives throws the reason", async (context) => {
  const stop = new AbortController();
  const reason = new Error("the user left");
  const ended = broken(context, stop.signal, () => {
    stop.abort(reason);
  });
  await assert.rejects(ended, (error) => error === reason);
});

void test("a file that breaks off by itself is unreachable", async (context) => {
  const ended = broken(context, new AbortController().signal, () => undefined);
  await assert.rejects(ended, { name: "LoadError", code: "unreachable", message: /check the connection, then load again/ });
});

void test("outside of a page, in Node, an address has to be whole", () => {
  assert.equal(folderUrl("http://localhost/model").href, "http://localhost/model/");
  assert.throws(() => folderUrl("/model/"), { name: "LoadError", code: "bad_url" });
});
