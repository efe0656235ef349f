/** A list of items that is typed: what was chosen as chips, and a combobox with suggestions (ARIA 1.2). */

import type { Items } from "../src/host/index.js";
import { element } from "./elements.js";

const SUGGESTED = 8;

export interface Picker {
  readonly root: HTMLElement;
  /** The tokens that were chosen, in their order. */
  readonly chosen: () => readonly string[];
  /** Adds an item by its token. */
  readonly add: (token: string) => void;
}

/** A picker of items; of one only where `single`. */
export function picker(id: string, label: string, items: Items, single: boolean, changed: () => void): Picker {
  let chosen: string[] = [];
  let offered: number[] = [];
  let active = -1;
  const options = element("ul", { id: `${id}-options`, role: "listbox", "aria-label": label, hidden: true });
  const input = element("input", {
    id,
    type: "text",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "Type a part of a title",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": options.id,
  });
  const chips = element("ul", { class: "chips", "aria-label": `${label}, chosen` });
  const root = element(
    "div",
    { class: "field" },
    element("label", { for: id }, label),
    chips,
    element("div", { class: "box" }, input, options),
  );

  const shown = (token: string): string => items.shown(items.places.get(token) ?? 0);

  function show(): void {
    chips.replaceChildren(
      ...chosen.map((token, place) => {
        const chip = element("button", { class: "chip", type: "button", "aria-label": `Remove ${shown(token)}` });
        chip.append(shown(token));
        chip.addEventListener("click", () => {
          chosen = chosen.filter((_, other) => other !== place);
          show();
          input.focus();
          changed();
        });
        return element("li", {}, chip);
      }),
    );
    chips.hidden = chosen.length === 0;
  }

  function offer(found: readonly number[]): void {
    offered = [...found];
    active = found.length > 0 ? 0 : -1;
    options.replaceChildren(
      ...offered.map((each, place) => {
        const option = element("li", { id: `${id}-${String(place)}`, role: "option" }, items.shown(each));
        option.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          choose(place);
        });
        return option;
      }),
    );
    mark();
  }

  function mark(): void {
    const open = offered.length > 0;
    options.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    for (const [place, option] of [...options.children].entries()) {
      option.setAttribute("aria-selected", String(place === active));
      if (place === active) option.scrollIntoView({ block: "nearest" });
    }
    if (active >= 0) input.setAttribute("aria-activedescendant", `${id}-${String(active)}`);
    else input.removeAttribute("aria-activedescendant");
  }

  function choose(place: number): void {
    const item = offered[place];
    if (item !== undefined) add(items.token(item));
    input.value = "";
    offer([]);
  }

  function add(token: string): void {
    chosen = single ? [token] : [...chosen, token];
    show();
    changed();
  }

  input.addEventListener("input", () => {
    const text = input.value.trim();
    offer(text === "" ? [] : items.containing(text, SUGGESTED));
  });
  input.addEventListener("blur", () => {
    offer([]);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") offer([]);
    else if (event.key === "Backspace" && input.value === "" && chosen.length > 0) {
      chosen = chosen.slice(0, -1);
      show();
      changed();
      return;
    } else if (offered.length === 0) {
      if (event.key === "Enter") event.preventDefault();
      return;
    } else if (event.key === "ArrowDown") active = (active + 1) % offered.length;
    else if (event.key === "ArrowUp") active = (active + offered.length - 1) % offered.length;
    else if (event.key === "Enter") choose(active);
    else return;
    event.preventDefault();
    mark();
  });
  show();
  return { root, chosen: () => chosen, add };
}
