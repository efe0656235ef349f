/** Items found while a person types. */

import type { Items } from "../host/index.js";

/** Finds items by what their titles and tokens begin with, then by the words in them, then by any part. */
export class Finder {
  #words: readonly (readonly [number, string, string])[] | undefined;

  constructor(private readonly items: Items) {}

  /** The ids of at most `limit` items, the best matches first, then in the order of their ids. */
  find(text: string, limit: number): number[] {
    const given = plain(text).trim();
    if (given === "" || limit < 1) return [];
    const ranked: [number[], number[], number[]] = [[], [], []];
    for (const [id, title, token] of this.#folded()) {
      const rank = Math.min(rankOf(title, given), rankOf(token, given));
      ranked[rank]?.push(id);
      if (ranked[0].length >= limit) break;
    }
    return ranked.flat().slice(0, limit);
  }

  #folded(): readonly (readonly [number, string, string])[] {
    this.#words ??= this.items.tokens
      .map((token, id) => [id, plain(this.items.shown(id)), plain(token)] as const)
      .filter(([id]) => this.items.isItem(id));
    return this.#words;
  }
}

function rankOf(word: string, given: string): number {
  const place = word.indexOf(given);
  if (place <= 0) return place === 0 ? 0 : 3;
  return /[\p{L}\p{N}]/u.test(word[place - 1] ?? "") && !word.includes(` ${given}`) ? 2 : 1;
}

/** The text without case and accents. */
function plain(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
