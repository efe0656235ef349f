/** A model that is loaded: host logic over sessions. */

import { Host, Items, type Contract, type Tokenize } from "../host/index.js";
import { LoadError, reasonOf, unlessAborted } from "./errors.js";
import { fetchFiles, fetchManifest, folderUrl, type Source } from "./fetching.js";
import type { Manifest, VocabularyFiles } from "./manifest.js";
import { engineOf, whyNoWebGpu, type Engine } from "./provider.js";
import { disposed, Sessions } from "./sessions.js";
import type { OnState, Progress, Provider } from "./state.js";
import { Store } from "./store.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a package knows of its model. */
export interface ModelSpec {
  readonly contract: Contract;
  readonly contractSha256: string;
  readonly tokenize: Tokenize;
}

export interface LoadOptions {
  /**
   * Where to run. `auto`, the default, takes WebGPU where a GPU is behind it; `webgpu` takes it in software, too. Both
   * go on with WASM where it cannot be, and the model's `fallback` says why.
   */
  readonly provider?: Provider | "auto";
  /** Whether files are kept in Cache Storage for the next time; they are by default. */
  readonly cache?: boolean;
  /** The address of onnxruntime-web's `dist` folder; needed where no bundler finds it. */
  readonly ortUrl?: string | URL;
  /** Threads of WASM where the page is cross-origin isolated; half of the processors, at most 4, by default. */
  readonly threads?: number;
  /** Told how many bytes there are while files are fetched; those from the cache count, too. */
  readonly onProgress?: (progress: Progress) => void;
  /** Told of every step. */
  readonly onState?: OnState;
  /** Ends the loading; its reason is what is thrown. */
  readonly signal?: AbortSignal;
}

export class Loaded {
  readonly host: Host;
  #disposed = false;

  constructor(
    readonly spec: ModelSpec,
    readonly vocabularies: ReadonlyMap<string, Items>,
    private readonly sessions: Sessions,
    /** Why the model does not run where it was asked for; undefined where it does. */
    readonly fallback: string | undefined,
  ) {
    this.host = new Host({
      contract: spec.contract,
      vocabularies,
      tokenize: spec.tokenize,
      run: (name, inputs) => sessions.run(name, inputs),
    });
  }

  get provider(): Provider {
    return this.sessions.engine.provider;
  }

  /** Threads of the processor that a run may use. */
  get threads(): number {
    return this.sessions.engine.threads;
  }

  /** Refuses what is called after `dispose`. */
  check(): void {
    if (this.#disposed) throw disposed();
  }

  /** Lets go of memory; what runs ends first, and what comes later is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.sessions.release();
  }
}

/** A model from the address of its folder. Throws LoadError, and the signal's reason. */
export async function loadModel(spec: ModelSpec, url: string | URL, options: LoadOptions = {}): Promise<Loaded> {
  const { signal, cache = true } = options;
  const onState = teller(options);
  signal?.throwIfAborted();
  const source: Source = { url: folderUrl(url), store: await Store.open(cache), signal, onState };
  const chosen = choose(options); // the engine comes while the files do
  chosen.catch(() => undefined); // told where it is waited for
  const manifest = await fetchManifest(source, spec.contract, spec.contractSha256);
  const files = await fetchFiles(source, manifest, namesOf(manifest));
  const vocabularies = vocabulariesOf(spec.contract, manifest, files);
  const { sessions, fallback } = await compile(chosen, manifest, files, options, onState);
  await source.store.written();
  onState({ status: "ready", provider: sessions.engine.provider });
  return new Loaded(spec, vocabularies, sessions, fallback);
}

/** Tells both listeners of the options. */
function teller({ onState, onProgress }: LoadOptions): OnState {
  return (state) => {
    onState?.(state);
    if (state.status === "fetching" || state.status === "checking") {
      const { file, loaded, total } = state;
      if (total > 0) onProgress?.({ file, loaded, total });
    }
  };
}

/** Every file that the model needs; the vectors of tests are not among them. */
function namesOf(manifest: Manifest): string[] {
  const graphs = [...manifest.functions.values()].flatMap((each) => [each.graph, ...each.data]);
  const words = [...manifest.vocabularies.values()].flatMap((each) => [each.tokens, each.titles, each.spellings]);
  return [...words.filter((each) => each !== null), ...graphs];
}

function vocabulariesOf(contract: Contract, manifest: Manifest, files: ReadonlyMap<string, Bytes>): Map<string, Items> {
  const found = new Map<string, Items>();
  for (const [name, spec] of Object.entries(contract.vocabularies)) {
    const names = manifest.vocabularies.get(name) as VocabularyFiles;
    const tokens = linesOf(files, names.tokens);
    if (tokens.length !== spec.size) {
      throw new LoadError(
        "bad_vocabulary",
        `${names.tokens} has ${String(tokens.length)} tokens, the contract ${String(spec.size)}; build the bundle again`,
      );
    }
    const titles = names.titles === null ? [] : linesOf(files, names.titles);
    const spellings = names.spellings === null ? [] : linesOf(files, names.spellings);
    found.set(name, new Items(name, spec, tokens, titles, spellings));
  }
  return found;
}

function linesOf(files: ReadonlyMap<string, Bytes>, name: string): string[] {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(files.get(name));
    return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
  } catch (error) {
    throw new LoadError("bad_vocabulary", `${name} is not UTF-8 (${reasonOf(error)}); build the bundle again`);
  }
}

interface Compiled {
  readonly sessions: Sessions;
  readonly fallback: string | undefined;
}

interface Chosen {
  readonly engine: Engine;
  readonly fallback: string | undefined;
}

/** The engine that the options ask for; that of the processor where WebGPU cannot be, with the reason. */
async function choose(options: LoadOptions, tried?: string): Promise<Chosen> {
  const { provider = "auto" } = options;
  const ortUrl = options.ortUrl === undefined ? undefined : folderUrl(options.ortUrl);
  const fallback = tried ?? (provider === "wasm" ? undefined : await whyNoWebGpu(provider === "webgpu"));
  const wasm = provider === "wasm" || fallback !== undefined;
  return { engine: await engineOf(wasm ? "wasm" : "webgpu", ortUrl, options.threads), fallback };
}

/** Sessions on the engine that was chosen; on the processor where WebGPU makes none, with the reason. */
async function compile(
  chosen: Promise<Chosen>,
  manifest: Manifest,
  files: ReadonlyMap<string, Bytes>,
  options: LoadOptions,
  onState: OnState,
): Promise<Compiled> {
  const { signal } = options;
  const on = async ({ engine, fallback }: Chosen): Promise<Compiled> => {
    signal?.throwIfAborted();
    onState({ status: "compiling", provider: engine.provider });
    return { sessions: await Sessions.create(engine, manifest, files, signal), fallback };
  };
  const work = async (): Promise<Compiled> => {
    const first = await chosen.catch((error: unknown) => {
      if (options.provider === "wasm" || !(error instanceof LoadError)) throw error;
      return choose(options, error.message);
    });
    try {
      return await on(first);
    } catch (error) {
      if (first.engine.provider === "wasm" || !(error instanceof LoadError)) throw error;
      return on(await choose(options, error.message));
    }
  };
  return unlessAborted(work(), signal);
}
