/** What a call is refused with: `code` says which rule was broken, the message what came and what to do. */
export class CallError extends Error {
  override readonly name = "CallError";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const LONGEST = 80; // code points of a word, characters of a value

/** The word in quotation marks, as JSON writes it; a long one is cut. */
export function quoted(word: string): string {
  const letters = Array.from(word);
  return JSON.stringify(letters.length <= LONGEST ? word : `${letters.slice(0, LONGEST).join("")}…`);
}

/** A value as JSON writes it, cut where it is long. */
export function shown(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value, (_, each: unknown) => (ArrayBuffer.isView(each) ? Array.from(each as never) : each));
  } catch {
    text = undefined;
  }
  const letters = Array.from(text ?? typeof value);
  return letters.length <= LONGEST ? letters.join("") : `${letters.slice(0, LONGEST).join("")}…`;
}

/** What to throw for a value of another kind than was expected. */
export function wrong(where: string, value: unknown, expected: string): CallError {
  return new CallError("wrong_type", `${where} is ${shown(value)}; expected ${expected}`);
}
