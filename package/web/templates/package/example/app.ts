/** The page: the model loads once, and every change of the form asks it again. */

import { contract, contractSha256 } from "../src/contract.js";
import { tokenize, type Call } from "../src/host/index.js";
import { loadModel, type Loaded, type LoadState } from "../src/load/index.js";
import { byId, element } from "./elements.js";
import { formOf, labelOf, type Form } from "./form.js";
import { results } from "./results.js";

const ORT = "../node_modules/onnxruntime-web/dist/"; // a bundler finds it without an address
const MEGABYTE = 1e6;

const [main, ask, answer] = [byId("main"), byId("ask"), byId("answer")];
const progress = byId("progress") as HTMLProgressElement;
const started = performance.now();
let asking = new AbortController();

/** Shows how far the model is. */
function show(state: LoadState): void {
  if (state.status === "fetching") {
    progress.max = Math.max(1, state.total);
    progress.value = state.loaded;
    byId("bytes").textContent = `${megabytes(state.loaded)} of ${megabytes(state.total)}`;
  } else if (state.status === "compiling") {
    progress.removeAttribute("value");
    byId("bytes").textContent = "Making the model ready…";
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / MEGABYTE).toFixed(2)} MB`;
}

function failed(error: unknown): HTMLElement {
  return element("p", { class: "error", role: "alert" }, error instanceof Error ? error.message : String(error));
}

/** Where the model runs, in words. */
function where(model: Loaded): string {
  const threads = model.threads === 1 ? "one thread" : `${String(model.threads)} threads`;
  return model.provider === "webgpu" ? "WebGPU" : `WebAssembly, ${threads}`;
}

async function begin(): Promise<void> {
  const wanted = new URLSearchParams(location.search).get("provider");
  const model = await loadModel({ contract, contractSha256, tokenize }, new URL("../model/", location.href), {
    provider: wanted === "wasm" ? "wasm" : "webgpu",
    ortUrl: new URL(ORT, location.href),
    onState: show,
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(2);
  const reason = model.fallback === undefined ? "" : ` (${model.fallback})`;
  byId("where").textContent = `${where(model)}${reason}, ready after ${seconds} s`;
  byId("load").hidden = true;
  main.removeAttribute("aria-busy");
  ask.hidden = answer.hidden = false;
  const calls = [...model.host.calls.values()];
  const [first] = calls;
  if (first !== undefined) open(model, calls, first);
}

/** Shows the form of a method, and asks with what it holds. */
function open(model: Loaded, calls: readonly Call[], call: Call): void {
  const form: Form = formOf(model.host, call, () => {
    void answerTo(model, call, form);
  });
  ask.replaceChildren(...(calls.length > 1 ? [tabs(model, calls, call)] : []), form.root);
  void answerTo(model, call, form);
}

/** Buttons to choose a method by. */
function tabs(model: Loaded, calls: readonly Call[], shown: Call): HTMLElement {
  const buttons = calls.map((call) => {
    const pressed = String(call === shown);
    const button = element("button", { type: "button", "aria-pressed": pressed }, labelOf(call.method));
    button.addEventListener("click", () => {
      open(model, calls, call);
    });
    return button;
  });
  return element("div", { class: "tabs", role: "group", "aria-label": "What to ask" }, ...buttons);
}

/** Asks the model, and shows the answer unless a later one was asked meanwhile. */
async function answerTo(model: Loaded, call: Call, form: Form): Promise<void> {
  asking.abort();
  const { signal } = (asking = new AbortController());
  answer.setAttribute("aria-busy", "true");
  if (answer.childElementCount === 0) answer.append(element("p", { class: "empty" }, "Asking the model…"));
  let shown: HTMLElement[];
  try {
    const begun = performance.now(); // waiting for an earlier answer counts, too
    const found = await model.host.call(call.method, form.read(), undefined, signal);
    shown = results(found, performance.now() - begun, form.history?.add);
  } catch (error) {
    shown = [failed(error)];
  }
  if (signal.aborted) return;
  answer.removeAttribute("aria-busy");
  answer.replaceChildren(...shown);
}

begin().catch((error: unknown) => {
  byId("where").textContent = "The model could not be loaded.";
  byId("load").replaceChildren(failed(error));
});
