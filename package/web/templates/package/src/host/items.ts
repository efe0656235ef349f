/** A word to an id and back: tokens first, then titles, and what a misspelt word may have been meant for. */

import { asideOf, type VocabularySpec } from "./contract.js";
import { CallError, quoted } from "./errors.js";
import type { Unknown } from "./answers.js";

const NEAR = 3; // suggestions
const SHORTEST_PART = 3; // code points from which on a part tells anything
const SHORTEST_WORD = 4; // and a whole word
const MOST_EDITS = 2;
const MOST_COMPARED = 20_000; // items of which every one is compared letter by letter
const LISTED = 5; // tokens named for a title that several items have

/** The items of one vocabulary: every id that is not set aside. */
export class Items {
  /** Every token's id, those that are set aside among them. */
  readonly places: ReadonlyMap<string, number>;
  readonly aside: ReadonlySet<number>;
  #spelled: Map<number, readonly number[]> | undefined;
  #byTitle: Map<string, number[]> | undefined;

  constructor(
    readonly name: string,
    readonly spec: VocabularySpec,
    readonly tokens: readonly string[],
    readonly titles: readonly string[] = [],
    readonly spellings: readonly string[] = [],
  ) {
    this.aside = asideOf(spec);
    this.places = new Map(tokens.map((token, place) => [token, place]));
  }

  /** Every item's id to the ids that spell it in another vocabulary. */
  get spelled(): ReadonlyMap<number, readonly number[]> {
    if (this.#spelled === undefined) {
      const lines = this.spellings.map((line, place) => [place, line] as const);
      this.#spelled = new Map(
        lines.filter(([place]) => this.isItem(place)).map(([place, line]) => [place, line.split(" ").map(Number)]),
      );
    }
    return this.#spelled;
  }

  /** The token of an id. */
  token(place: number): string {
    return this.tokens[place] ?? "";
  }

  /** The title of an id; its token where there is none. */
  shown(place: number): string {
    return (this.titles[place] ?? "") || this.token(place);
  }

  /** Whether an id is one of the vocabulary and not set aside. */
  isItem(place: number): boolean {
    return place >= 0 && place < this.tokens.length && !this.aside.has(place);
  }

  /** The id of a token, else of a title; undefined where neither is there. Throws `ambiguous_title`. */
  find(word: string): number | undefined {
    if (word === "") return undefined;
    const place = this.places.get(word);
    if (place !== undefined && !this.aside.has(place)) return place;
    const places = this.#titled().get(word) ?? [];
    if (places.length > 1) throw new CallError("ambiguous_title", this.#ambiguous(word, places));
    return places[0];
  }

  /** The word with what it may have been meant for. */
  unknown(word: string): Unknown {
    return { given: word, near: this.near(word) };
  }

  /** What to throw for a word that is no item, where no id stands for the unknown. */
  refused(word: string): CallError {
    const near = this.near(word).map(quoted).join(" or ");
    const said = near === "" ? "" : `did you mean ${near}? `;
    return new CallError(
      "unknown_item",
      `${quoted(word)} is no item of ${quoted(this.name)}; ${said}pass a token or a title`,
    );
  }

  /**
   * Up to three words that this one may have been meant for: those that contain it, in the order of their ids; where
   * there are none, those within two edits, the fewest edits first.
   */
  near(word: string): string[] {
    const given = lower(word);
    const letters = Array.from(given);
    if (letters.length >= SHORTEST_PART) {
      const found = this.containing(given, NEAR);
      if (found.length > 0) return found.map((each) => this.shown(each));
    }
    if (letters.length < SHORTEST_WORD || this.tokens.length > MOST_COMPARED) return [];
    const close: [number, number][] = [];
    for (let place = 0; place < this.tokens.length; place += 1) {
      if (this.aside.has(place)) continue;
      const edits = Math.min(...this.#words(place).map((each) => distance(letters, Array.from(each))));
      if (edits <= MOST_EDITS) close.push([edits, place]);
    }
    close.sort((left, right) => left[0] - right[0] || left[1] - right[1]);
    return close.slice(0, NEAR).map(([, place]) => this.shown(place));
  }

  /** The first ids, at most `most`, whose token or title contains a text, the case of ASCII letters ignored. */
  containing(text: string, most: number): number[] {
    const given = lower(text);
    const found: number[] = [];
    for (let place = 0; place < this.tokens.length && found.length < most; place += 1) {
      if (!this.aside.has(place) && this.#words(place).some((each) => each.includes(given))) found.push(place);
    }
    return found;
  }

  #titled(): Map<string, number[]> {
    if (this.#byTitle === undefined) {
      this.#byTitle = new Map();
      for (const [place, title] of this.titles.entries()) {
        if (title === "" || this.aside.has(place)) continue;
        const places = this.#byTitle.get(title);
        if (places === undefined) this.#byTitle.set(title, [place]);
        else places.push(place);
      }
    }
    return this.#byTitle;
  }

  #ambiguous(word: string, places: readonly number[]): string {
    const listed = places
      .slice(0, LISTED)
      .map((each) => this.token(each))
      .join(", ");
    const more = places.length > LISTED ? ", …" : "";
    return `${quoted(word)} is the title of ${String(places.length)} items: ${listed}${more}; pass a token`;
  }

  #words(place: number): string[] {
    const title = this.titles[place];
    return [lower(this.token(place)), ...(title === undefined ? [] : [lower(title)])];
  }
}

/** The word with small ASCII letters; others stay, as languages differ in their case. */
function lower(word: string): string {
  return word.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * Insertions, deletions and substitutions of code points from one word to the other, 3 for more than 2.
 * Source: Wagner and Fischer, "The String-to-String Correction Problem", 1974.
 */
export function editDistance(left: string, right: string): number {
  return distance(Array.from(left), Array.from(right));
}

function distance(left: readonly string[], right: readonly string[]): number {
  const more = MOST_EDITS + 1;
  if (Math.abs(left.length - right.length) > MOST_EDITS) return more;
  let row = Array.from({ length: right.length + 1 }, (_, place) => place);
  for (const [place, letter] of left.entries()) {
    const next = [place + 1];
    for (const [other, each] of right.entries()) {
      const corner = (row[other] ?? more) + (letter === each ? 0 : 1);
      next.push(Math.min((row[other + 1] ?? more) + 1, (next[other] ?? more) + 1, corner));
    }
    if (Math.min(...next) > MOST_EDITS) return more;
    row = next;
  }
  return Math.min(row[right.length] ?? more, more);
}
