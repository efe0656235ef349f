/** Why a model could not be loaded or run. */

export type LoadCode =
  | "bad_url"
  | "unreachable"
  | "http_status"
  | "bad_manifest"
  | "other_contract"
  | "altered_file"
  | "bad_vocabulary"
  | "insecure_context"
  | "no_memory"
  | "no_runtime"
  | "session_failed"
  | "run_failed"
  | "disposed";

/** `code` says what went wrong; the message what came, what was expected, and what to do next. */
export class LoadError extends Error {
  override readonly name = "LoadError";

  constructor(
    readonly code: LoadCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The first line of what an error says. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? "";
}

/** Whether work ended because its signal was aborted. */
export function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && (error === signal.reason || (error as Partial<Error> | null)?.name === "AbortError");
}

/** The promise, or the signal's reason as soon as it is aborted. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let leave: (() => void) | undefined;
  const left = new Promise<never>((_, reject) => {
    leave = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
  try {
    return await Promise.race([work, left]);
  } finally {
    if (leave !== undefined) signal.removeEventListener("abort", leave);
  }
}
