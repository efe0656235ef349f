/**
 * Text as the tokens of a BERT vocabulary: words and punctuation, then the longest pieces that are there.
 *
 *     text ─▶ special tokens apart ─▶ cleaned, small, without accents ─▶ words ─▶ pieces ─▶ start … end
 *
 * The same as Hugging Face's tokenizers, code point by code point, by tables instead of the browser's Unicode version.
 * Source: Devlin et al., "BERT", 2019; Wu et al., "Google's Neural Machine Translation System", 2016, 4.1.
 */

import type { Tokenizer } from "./contract.js";
import * as tables from "./unicode.js";

/** The tokens that text is cut into: every one's id, and the ids that are set aside. */
export interface Pieces {
  readonly places: ReadonlyMap<string, number>;
  readonly tokens: readonly string[];
  readonly aside: ReadonlySet<number>;
}

const CONTINUES = "##";
const BLANK = 0x20;

/** The ids of a text between the start and the end token, at most `most` of them: the text's end is cut. */
export function tokenize(text: string, tokenizer: Tokenizer, vocabulary: Pieces, most: number): number[] {
  const found: number[] = [];
  for (const [part, special] of parts(text, specials(tokenizer, vocabulary))) {
    if (special) found.push(idOf(part, vocabulary));
    else for (const word of words(part, tokenizer)) found.push(...pieces(word, tokenizer, vocabulary));
  }
  const kept = found.slice(0, Math.max(most - 2, 0));
  return [idOf(tokenizer.start, vocabulary), ...kept, idOf(tokenizer.end, vocabulary)].slice(0, most);
}

/** The words and signs of punctuation of a text, normalized as the tokenizer says, as characters. */
export function words(text: string, tokenizer: Tokenizer): string[][] {
  const clean = cleaned(codesOf(text), tokenizer);
  const plain = (tokenizer.strip_accents ?? tokenizer.lowercase) ? withoutMarks(clean) : clean;
  const normal = tokenizer.lowercase ? plain.flatMap(small) : plain;
  const found: string[][] = [];
  let word: string[] = [];
  const end = (): void => {
    if (word.length > 0) found.push(word);
    word = [];
  };
  for (const code of normal) {
    const sign = belongs(code, tables.PUNCTUATION);
    if (sign || code === BLANK) end();
    if (code !== BLANK) word.push(String.fromCodePoint(code));
    if (sign) end();
  }
  end();
  return found;
}

function codesOf(text: string): number[] {
  return Array.from(text, (each) => each.codePointAt(0) ?? 0);
}

function idOf(token: string, vocabulary: Pieces): number {
  const place = vocabulary.places.get(token);
  if (place === undefined) throw new RangeError(`the vocabulary has no token ${token}, which its tokenizer names`);
  return place;
}

/** The tokens that no text is cut into, longest first. */
function specials(tokenizer: Tokenizer, vocabulary: Pieces): string[] {
  const { unknown, start, end, mask } = tokenizer;
  const named = [unknown, start, end, mask].filter((each) => vocabulary.places.has(each));
  const aside = Array.from(vocabulary.aside, (place) => vocabulary.tokens[place] ?? "");
  const known = Array.from(new Set([...named, ...aside])).filter((each) => each !== "");
  return known.sort((left, right) => right.length - left.length);
}

/** The text cut at special tokens, each part with whether it is one. */
function* parts(text: string, known: readonly string[]): Generator<[string, boolean]> {
  let start = 0;
  let place = 0;
  while (place < text.length) {
    const special = known.find((each) => text.startsWith(each, place));
    if (special === undefined) {
      place += 1;
      continue;
    }
    yield [text.slice(start, place), false];
    yield [special, true];
    place += special.length;
    start = place;
  }
  yield [text.slice(start), false];
}

/** The characters without control characters, white space as blanks, Chinese ones between blanks. */
function cleaned(codes: readonly number[], tokenizer: Tokenizer): number[] {
  const found: number[] = [];
  for (const code of codes) {
    if (belongs(code, tables.DROPPED)) continue;
    if (belongs(code, tables.SPACE)) found.push(BLANK);
    else if (tokenizer.tokenize_chinese_chars && belongs(code, tables.CHINESE)) found.push(BLANK, code, BLANK);
    else found.push(code);
  }
  return found;
}

/** The characters canonically decomposed, without the marks that take no space of their own. */
function withoutMarks(codes: readonly number[]): number[] {
  const found: number[] = [];
  let run = "";
  const end = (): void => {
    for (const each of run.normalize("NFD")) found.push(each.codePointAt(0) ?? 0);
    run = "";
  };
  for (const code of codes) {
    if (belongs(code, tables.DECOMPOSES)) {
      run += String.fromCodePoint(code);
      continue;
    }
    end(); // what is newer than the tables neither decomposes nor lets a mark move past it
    found.push(code);
  }
  end();
  return found.filter((code) => !belongs(code, tables.MARKS));
}

/** Whether a code point is in a set: an odd number of the set's ends lies at or below it. */
function belongs(code: number, ends: readonly number[]): boolean {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] ?? Infinity) <= code) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
}

let letters: Map<number, readonly number[]> | undefined;

/** The small letter of a code point, by itself: no language's rules, no final sigma. */
function small(code: number): readonly number[] {
  letters ??= smallLetters();
  return letters.get(code) ?? [code];
}

function smallLetters(): Map<number, readonly number[]> {
  const found = new Map<number, readonly number[]>();
  for (const [first, last, step, distance] of tables.LOWERCASE) {
    for (let code = first; code <= last; code += step) found.set(code, [code + distance]);
  }
  for (const [code, longer] of Object.entries(tables.LOWERCASE_LONGER)) found.set(Number(code), longer);
  return found;
}

/** The longest pieces from the left; the unknown token where one is missing, or the word is too long. */
function pieces(word: readonly string[], tokenizer: Tokenizer, vocabulary: Pieces): number[] {
  const unknown = idOf(tokenizer.unknown, vocabulary);
  if (word.length > tokenizer.max_characters_per_word) return [unknown];
  const found: number[] = [];
  let start = 0;
  while (start < word.length) {
    const prefix = start > 0 ? CONTINUES : "";
    let end = word.length;
    let place: number | undefined;
    while (end > start && place === undefined) {
      place = vocabulary.places.get(prefix + word.slice(start, end).join(""));
      end -= 1;
    }
    if (place === undefined) return [unknown];
    found.push(place);
    start = end + 1;
  }
  return found;
}
