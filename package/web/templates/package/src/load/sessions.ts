/** The functions of a model as sessions of onnxruntime-web. */

import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";

import type { Dtype, Tensor, TensorData, Tensors } from "../host/index.js";
import { LoadError, reasonOf } from "./errors.js";
import type { Manifest } from "./manifest.js";
import { alone, type Engine } from "./provider.js";

type Bytes = Uint8Array<ArrayBuffer>;
const DTYPES: ReadonlySet<string> = new Set(["int32", "int64", "float32", "bool"] satisfies Dtype[]);
const NO_ENGINE = "no available backend found"; // what onnxruntime-web says when it does not start, whatever the model

export class Sessions {
  #released = false;

  private constructor(
    readonly engine: Engine,
    private readonly sessions: ReadonlyMap<string, InferenceSession>,
  ) {}

  /** A session for every function; those that were made are released where one cannot be. */
  static async create(
    engine: Engine,
    manifest: Manifest,
    files: ReadonlyMap<string, Bytes>,
    signal: AbortSignal | undefined,
  ): Promise<Sessions> {
    const made = new Map<string, InferenceSession>();
    const sessions = new Sessions(engine, made);
    try {
      for (const [name, { graph, data }] of manifest.functions) {
        signal?.throwIfAborted();
        made.set(name, await alone(engine, () => sessions.open(name, graph, data, files)));
      }
      signal?.throwIfAborted();
    } catch (error) {
      await sessions.release();
      throw error;
    }
    return sessions;
  }

  private async open(
    name: string,
    graph: string,
    data: readonly string[],
    files: ReadonlyMap<string, Bytes>,
  ): Promise<InferenceSession> {
    const { ort, provider } = this.engine;
    const bytes = files.get(graph);
    if (bytes === undefined) throw new RangeError(`the file ${graph} was not fetched`);
    const externalData = data.map((path) => ({ path, data: files.get(path) ?? new Uint8Array() }));
    try {
      const options = { executionProviders: [provider], externalData };
      return await ort.InferenceSession.create(bytes, options);
    } catch (error) {
      if (reasonOf(error).startsWith(NO_ENGINE)) throw notStarted(error);
      throw new LoadError(
        "session_failed",
        `${graph} of the function ${name} cannot be opened on ${provider} (${reasonOf(error)}); ` +
          (provider === "webgpu" ? 'pass provider: "wasm"' : "build the bundle with [targets.web]"),
        { cause: error },
      );
    }
  }

  /** The outputs of a function. */
  async run(name: string, inputs: Tensors): Promise<Tensors> {
    const session = this.sessions.get(name);
    if (session === undefined) throw new RangeError(`there is no function ${name}`);
    return alone(this.engine, async () => {
      if (this.#released) throw disposed();
      const { Tensor: Made } = this.engine.ort;
      const feeds = Object.fromEntries(
        session.inputNames.map((each) => [each, ortTensor(Made, inputs[each])] as const),
      );
      let outputs: InferenceSession.OnnxValueMapType;
      try {
        outputs = await session.run(feeds);
      } catch (error) {
        throw new LoadError(
          "run_failed",
          `the function ${name} failed on ${this.engine.provider} (${reasonOf(error)}); ` +
            (this.engine.provider === "webgpu" ? 'load the model with provider: "wasm"' : "load the model again"),
          { cause: error },
        );
      }
      const found = Object.fromEntries(Object.entries(outputs).map(([key, each]) => [key, tensorOf(key, each)]));
      for (const each of Object.values(outputs)) each.dispose();
      return found;
    });
  }

  /** Lets go of the sessions once what runs has ended. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await alone(this.engine, async () => {
      for (const session of this.sessions.values()) await session.release();
    });
  }
}

/** What to throw for a model that was disposed. */
export function disposed(): LoadError {
  return new LoadError("disposed", "the model was disposed; load it again");
}

function notStarted(cause: unknown): LoadError {
  return new LoadError(
    "no_runtime",
    `onnxruntime-web does not start (${reasonOf(cause)}); check that the page gets its .wasm file, or pass ortUrl, the ` +
      "address of its dist folder, and that the content security policy has 'wasm-unsafe-eval', then reload the page",
    { cause },
  );
}

function ortTensor(Made: typeof OrtTensor, tensor: Tensor | undefined): OrtTensor {
  if (tensor === undefined) throw new RangeError("an input of the graph is no input of the contract");
  const { dtype, shape, data } = tensor;
  return new Made(dtype, data as Int32Array, [...shape]);
}

function tensorOf(name: string, value: OrtTensor): Tensor {
  if (!DTYPES.has(value.type)) throw new LoadError("run_failed", `the output ${name} is of ${value.type}; build the bundle again`);
  return { dtype: value.type as Dtype, shape: value.dims, data: (value.data as TensorData).slice() };
}
