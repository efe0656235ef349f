/** A form for one method, made from the contract. */

import type { Call, Contract, Given, Host } from "../src/host/index.js";
import { picker, type Picker } from "./combobox.js";
import { element } from "./elements.js";

const SHORT = 60; // ids up to which a plain list of all is easier than typing

export interface Form {
  readonly root: HTMLElement;
  readonly read: () => Given;
  /** Where a listed item can be added; undefined where the method takes no list of its items. */
  readonly history: Picker | undefined;
}

type Feature = Contract["functions"][string]["inputs"][number];

interface Field {
  readonly root: HTMLElement;
  readonly value: () => unknown;
  readonly picker?: Picker;
}

/** The form of a method; `changed` is called where a call would give another answer. */
export function formOf(host: Host, call: Call, changed: () => void): Form {
  const signature = host.given.contract.functions[call.function];
  const fields = new Map<string, Field>();
  const fieldFor = (name: string, feature: string): void => {
    const found = signature?.inputs.find((each) => each.name === feature);
    if (found !== undefined) fields.set(name, fieldOf(host, name, found, changed));
  };
  if (call.role === "rank") {
    const items = host.given.vocabularies.get(call.items);
    if (items !== undefined) fields.set("candidates", listField("candidates", picker("candidates", "Candidates", items, false, changed)));
  }
  for (const [name, feature] of call.arguments) fieldFor(name, feature);
  if (call.names.includes("k")) fields.set("k", numberField("k", "How many", 10, { min: "1", max: "50" }, changed));
  const root = element("form", {}, ...[...fields.values()].map((each) => each.root));
  root.addEventListener("submit", (event) => {
    event.preventDefault();
  });
  return {
    root,
    read: () => Object.fromEntries([...fields].map(([name, each]) => [name, each.value()])),
    history: fields.get("history")?.picker,
  };
}

function fieldOf(host: Host, name: string, feature: Feature, changed: () => void): Field {
  const label = labelOf(name);
  const items = host.given.vocabularies.get(feature.vocabulary ?? "");
  if (items?.spec.tokenizer) return textField(name, label, changed);
  if (items !== undefined && feature.kind !== "id") return listField(name, picker(name, label, items, false, changed));
  if (items !== undefined && items.tokens.length <= SHORT) {
    const choices = items.tokens.flatMap((token, place) => (items.isItem(place) ? [token] : []));
    const select = element("select", { id: name }, ...choices.map((token) => element("option", {}, token)));
    select.addEventListener("change", changed);
    return { root: labelled(name, label, select), value: () => select.value };
  }
  if (items !== undefined) {
    const made = picker(name, label, items, true, changed);
    return { root: made.root, value: () => made.chosen()[0] ?? "" };
  }
  if (feature.dtype === "bool") {
    const box = element("input", { id: name, type: "checkbox" });
    box.addEventListener("change", changed);
    return { root: labelled(name, label, box), value: () => box.checked };
  }
  const middle = (feature.minimum + feature.maximum) / 2;
  const shape = feature.shape.slice(1);
  if (shape.length > 0) return numbersField(name, label, shape, middle, changed);
  const whole = feature.dtype !== "float32";
  return numberField(name, label, whole ? Math.round(middle) : middle, { step: whole ? "1" : "any" }, changed);
}

function listField(name: string, made: Picker): Field {
  return { root: made.root, value: () => made.chosen(), ...(name === "history" ? { picker: made } : {}) };
}

function textField(name: string, label: string, changed: () => void): Field {
  const input = element("input", { id: name, type: "search" });
  input.addEventListener("input", changed);
  return { root: labelled(name, label, input), value: () => input.value };
}

function numberField(
  name: string,
  label: string,
  value: number,
  attributes: Readonly<Record<string, string>>,
  changed: () => void,
): Field {
  const input = element("input", { id: name, type: "number", value: String(value), ...attributes });
  input.addEventListener("input", changed);
  return { root: labelled(name, label, input), value: () => input.valueAsNumber };
}

/** Numbers of a fixed shape, as JSON. */
function numbersField(
  name: string,
  label: string,
  shape: Feature["shape"],
  value: number,
  changed: () => void,
): Field {
  const filled = shape.reduceRight<unknown>(
    (inner, size) => new Array<unknown>(typeof size === "number" ? size : 1).fill(inner),
    value,
  );
  const input = element("input", { id: name, type: "text", value: JSON.stringify(filled) });
  input.addEventListener("input", changed);
  const read = (): unknown => {
    try {
      return JSON.parse(input.value);
    } catch {
      return input.value;
    }
  };
  return { root: labelled(name, label, input), value: read };
}

function labelled(id: string, label: string, control: HTMLElement): HTMLElement {
  return element("div", { class: "field" }, element("label", { for: id }, label), control);
}

/** A name as people write it. */
export function labelOf(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
