/** Where a model runs: the builds of onnxruntime-web, one of which a page loads, and why not the other. */

import type { env, InferenceSession, Tensor } from "onnxruntime-web";

import { LoadError, reasonOf } from "./errors.js";
import type { Provider } from "./state.js";

/** What is used of onnxruntime-web. */
export interface Ort {
  readonly env: typeof env;
  readonly InferenceSession: typeof InferenceSession;
  readonly Tensor: typeof Tensor;
}

export interface Engine {
  readonly ort: Ort;
  readonly provider: Provider;
  readonly threads: number;
}

const MOST_THREADS = 4;
const WORK = Symbol.for("pocketrec.work"); // on onnxruntime-web's `env`, so that all packages of a page share it

interface Surroundings {
  readonly gpu?: { requestAdapter(): Promise<Adapter | null> };
  readonly hardwareConcurrency?: number;
}

interface Adapter {
  readonly info?: { readonly isFallbackAdapter?: boolean; readonly architecture?: string };
}

/** Why WebGPU cannot be used here; undefined where it can. An adapter in software is slower than WASM. */
export async function whyNoWebGpu(inSoftware: boolean): Promise<string | undefined> {
  const { gpu } = surroundings();
  if (gpu === undefined) return "this browser has no WebGPU";
  try {
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return "WebGPU found no adapter";
    return !inSoftware && isSoftware(adapter) ? "WebGPU runs in software here" : undefined;
  } catch (error) {
    return `WebGPU gives no adapter (${reasonOf(error)})`;
  }
}

/** What is known of the machine; Node says nothing. */
function surroundings(): Surroundings {
  return (globalThis as { readonly navigator?: Surroundings }).navigator ?? {};
}

function isSoftware({ info }: Adapter): boolean {
  return info?.isFallbackAdapter === true || info?.architecture === "swiftshader";
}

/** The build of onnxruntime-web for a provider. */
export async function engineOf(provider: Provider, ortUrl: URL | undefined, threads: number | undefined): Promise<Engine> {
  const ort = await importOrt(provider, ortUrl);
  const isolated = globalThis.crossOriginIsolated; // shared memory, and so threads, come with COOP and COEP alone
  const wanted = threads ?? Math.min(MOST_THREADS, Math.ceil((surroundings().hardwareConcurrency ?? 1) / 2));
  ort.env.wasm.numThreads = isolated ? Math.max(1, wanted) : 1;
  if (ortUrl !== undefined) ort.env.wasm.wasmPaths = ortUrl.href;
  return { ort, provider, threads: ort.env.wasm.numThreads };
}

async function importOrt(provider: Provider, ortUrl: URL | undefined): Promise<Ort> {
  try {
    if (ortUrl !== undefined) {
      const file = new URL(`ort.${provider}.min.mjs`, ortUrl).href;
      return (await import(/* @vite-ignore */ /* webpackIgnore: true */ file)) as Ort;
    }
    return provider === "webgpu" ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  } catch (error) {
    throw new LoadError(
      "no_runtime",
      `onnxruntime-web cannot be imported (${reasonOf(error)}); pass ortUrl, the address of its dist folder, or let ` +
        "a bundler resolve it",
      { cause: error },
    );
  }
}

/** Does one thing at a time with an engine: it is not re-entrant, across all of its sessions. */
export async function alone<T>(engine: Engine, work: () => Promise<T>): Promise<T> {
  const shared = engine.ort.env as unknown as { [WORK]?: Promise<unknown> };
  const before = shared[WORK] ?? Promise.resolve();
  const done = before.then(work);
  shared[WORK] = done.catch(() => undefined);
  return done;
}
