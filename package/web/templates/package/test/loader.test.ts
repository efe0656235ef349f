import assert from "node:assert/strict";
import { test } from "node:test";

import { LoadError } from "../src/load/errors.js";
import { Loader } from "../src/load/loader.js";
import type { LoadState } from "../src/load/state.js";

interface Started {
  readonly signal: AbortSignal;
  readonly end: (model: string) => void;
  readonly fail: (error: Error) => void;
}

function loaderOf(): { loader: Loader<string>; started: Started[] } {
  const started: Started[] = [];
  const loader = new Loader<string>(
    ({ signal = new AbortController().signal, onState }) =>
      new Promise((end, fail) => {
        onState?.({ status: "fetching", file: "main.onnx", loaded: 0, total: 9 });
        signal.addEventListener("abort", () => {
          fail(signal.reason as Error);
        });
        started.push({
          signal,
          fail,
          end: (model) => {
            onState?.({ status: "ready", provider: "wasm" });
            end(model);
          },
        });
      }),
  );
  return { loader, started };
}

void test("many callers share one loading, and its states", async () => {
  const { loader, started } = loaderOf();
  const seen: LoadState["status"][] = [];
  loader.subscribe(({ status }) => seen.push(status));
  const both = Promise.all([loader.load(), loader.load()]);
  started[0]?.end("model");
  assert.deepEqual(await both, ["model", "model"]);
  assert.equal(await loader.load(), "model");
  assert.equal(started.length, 1);
  assert.deepEqual(seen, ["absent", "fetching", "ready"]);
});

void test("a caller that leaves ends the loading for nobody else", async () => {
  const { loader, started } = loaderOf();
  const stop = new AbortController();
  const left = loader.load(stop.signal);
  const stays = loader.load();
  stop.abort();
  await assert.rejects(left, { name: "AbortError" });
  assert.equal(started[0]?.signal.aborted, false);
  started[0].end("model");
  assert.equal(await stays, "model");
});

void test("the last caller that leaves ends the loading, and the next begins again", async () => {
  const { loader, started } = loaderOf();
  const stop = new AbortController();
  const left = loader.load(stop.signal);
  stop.abort();
  await assert.rejects(left, { name: "AbortError" });
  assert.equal(started[0]?.signal.aborted, true);
  assert.equal(loader.state.status, "absent");
  const again = loader.load();
  started[1]?.end("second");
  assert.equal(await again, "second");
});

void test("a failure is a state, and the next call begins again", async () => {
  const { loader, started } = loaderOf();
  const first = loader.load();
  started[0]?.fail(new LoadError("unreachable", "no way"));
  await assert.rejects(first, { code: "unreachable" });
  assert.equal(loader.state.status, "failed");
  const again = loader.load();
  started[1]?.end("model");
  assert.equal(await again, "model");
  assert.equal(loader.state.status, "ready");
});
