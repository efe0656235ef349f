/** A model's way from absent to ready, which many callers of a page share. */

import { isAbort, LoadError, reasonOf, unlessAborted } from "./errors.js";
import type { LoadOptions } from "./loaded.js";
import type { LoadState, OnState } from "./state.js";

interface Running<T> {
  readonly model: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
}

/**
 * Loads a model once, however many ask for it. The work ends early when the last of those who wait for it has gone;
 * after a failure, or after `reset`, the next call begins again.
 */
export class Loader<T> {
  #state: LoadState = { status: "absent" };
  #running: Running<T> | undefined;
  readonly #listeners = new Set<OnState>();

  constructor(private readonly start: (options: LoadOptions) => Promise<T>) {}

  /** How far it is. */
  get state(): LoadState {
    return this.#state;
  }

  /** Calls the listener now and at every step; gives the function that ends this. */
  subscribe(listener: OnState): () => void {
    this.#listeners.add(listener);
    listener(this.#state);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** The model; of several calls the first loads it. */
  async load(signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const running = (this.#running ??= this.#begin());
    running.waiting += 1;
    try {
      return await unlessAborted(running.model, signal);
    } catch (error) {
      if (isAbort(error, signal) && running.waiting === 1) this.#leave(running);
      throw error;
    } finally {
      running.waiting -= 1;
    }
  }

  /** Forgets the model, so that the next call loads it again; it is not disposed. */
  reset(): void {
    this.#running?.stop.abort();
    this.#running = undefined;
    this.#tell({ status: "absent" });
  }

  #begin(): Running<T> {
    const stop = new AbortController();
    const onState: OnState = (state) => {
      if (!stop.signal.aborted) this.#tell(state);
    };
    const model = this.start({ signal: stop.signal, onState });
    const running = { model, stop, waiting: 0 };
    model.catch((error: unknown) => {
      if (this.#running !== running) return;
      this.#running = undefined;
      this.#tell({ status: "failed", error: failureOf(error) });
    });
    return running;
  }

  /** Nobody waits any longer; a model that is ready stays. */
  #leave(running: Running<T>): void {
    if (this.#running !== running || this.#state.status === "ready") return;
    this.reset();
  }

  #tell(state: LoadState): void {
    this.#state = state;
    for (const each of [...this.#listeners]) each(state);
  }
}

function failureOf(error: unknown): LoadError {
  if (error instanceof LoadError) return error;
  return new LoadError("session_failed", `the model cannot be loaded (${reasonOf(error)}); load it again`, { cause: error });
}
