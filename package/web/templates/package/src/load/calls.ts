/** What every generated class does: calls by an app's names, words looked up, sessions that keep states. */

import { CallError, type Answer, type Given, type Host, type Items, type States } from "../host/index.js";
import { unlessAborted } from "./errors.js";
import type { Loaded } from "./loaded.js";
import type { Provider } from "./state.js";
import { Finder } from "./suggest.js";

/** An argument's name in TypeScript to the contract's; under a colon, those of a candidate. */
export type Names = Readonly<Record<string, string>>;

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** An item, as an app shows it. */
export interface Item {
  readonly id: number;
  readonly token: string;
  readonly title: string;
}

/** The calls of a model, with the states of one session or none. */
export class Calls {
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    protected readonly loaded: Loaded,
    private readonly states?: States,
  ) {}

  /** Answers a method's call; calls of one session come one after another. */
  protected async ask<T extends Answer>(method: string, given: object, names: Names, own?: Names): Promise<T> {
    const { signal, ...rest } = given as CallOptions & Given;
    signal?.throwIfAborted();
    this.loaded.check();
    const named = renamed(rest, names);
    if (own !== undefined && Array.isArray(named["candidates"])) {
      named["candidates"] = named["candidates"].map((each: unknown) => (isRecord(each) ? renamed(each, own) : each));
    }
    const answer = (): Promise<Answer> => this.loaded.host.call(method, spread(named), this.states, signal);
    if (this.states === undefined) return (await unlessAborted(answer(), signal)) as T;
    const next = this.#last.then(answer);
    this.#last = next.catch(() => undefined);
    return (await unlessAborted(next, signal)) as T;
  }

  /** Puts the states back to zeros, after the calls that were made before. */
  protected clear(): void {
    this.#last = this.#last.then(() => {
      this.states?.clear();
    });
  }
}

/** A model in a page. */
export class Model extends Calls {
  readonly #finders = new Map<string, Finder>();

  constructor(
    loaded: Loaded,
    private readonly vocabulary: string,
  ) {
    super(loaded);
  }

  /** Where the model runs. */
  get provider(): Provider {
    return this.loaded.provider;
  }

  /** Why it does not run where it was asked for; undefined where it does. */
  get fallback(): string | undefined {
    return this.loaded.fallback;
  }

  /** Threads of the processor that a run may use. */
  get threads(): number {
    return this.loaded.threads;
  }

  /** Where the model runs, as a page shows it. */
  get where(): string {
    if (this.provider === "webgpu") return "WebGPU";
    return `WebAssembly, ${String(this.threads)} ${this.threads === 1 ? "thread" : "threads"}`;
  }

  /** The host logic, for pages that ask by the contract's own names. */
  get host(): Host {
    this.loaded.check();
    return this.loaded.host;
  }

  /** The item of a token or a title; undefined where there is none. Throws CallError where a title is ambiguous. */
  item(word: string, vocabulary: string = this.vocabulary): Item | undefined {
    const items = this.#items(vocabulary);
    const id = items.find(word);
    return id === undefined ? undefined : itemOf(items, id);
  }

  /** Items that a text may be the beginning of, for a list that opens while a person types. */
  suggest(text: string, limit = 8, vocabulary: string = this.vocabulary): Item[] {
    const items = this.#items(vocabulary);
    let finder = this.#finders.get(vocabulary);
    if (finder === undefined) this.#finders.set(vocabulary, (finder = new Finder(items)));
    return finder.find(text, limit).map((id) => itemOf(items, id));
  }

  /** Lets go of the model's memory; what comes after it is an error. */
  async dispose(): Promise<void> {
    await this.loaded.dispose();
  }

  #items(name: string): Items {
    this.loaded.check();
    const items = this.loaded.vocabularies.get(name);
    if (items !== undefined) return items;
    const known = [...this.loaded.vocabularies.keys()].join(", ") || "none";
    throw new CallError("unknown_vocabulary", `${JSON.stringify(name)} is no vocabulary of the model; expected ${known}`);
  }
}

function itemOf(items: Items, id: number): Item {
  return { id, token: items.token(id), title: items.shown(id) };
}

/** Records of arguments by the contract's names; a name that is none stays, so that it is refused by its own. */
function renamed(given: Given, names: Names): Record<string, unknown> {
  const found = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(found.map(([name, value]) => [Object.hasOwn(names, name) ? (names[name] ?? name) : name, value]));
}

/** What may be any iterable as a list. */
function spread(given: Record<string, unknown>): Given {
  const { excluding } = given;
  const lists = typeof excluding === "object" && excluding !== null && Symbol.iterator in excluding;
  return lists ? { ...given, excluding: [...(excluding as Iterable<unknown>)] } : given;
}

function isRecord(value: unknown): value is Given {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
