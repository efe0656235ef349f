// One artifact in one page. Python calls what `harness` offers; tensors travel as frames (web_frames.py).

const TYPES = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array,
  int16: Int16Array, int32: Int32Array, int64: BigInt64Array, bool: Uint8Array,
};
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render/i;
const PLACED = /\[(\w+)ExecutionProvider\]\. Number of nodes: (\d+)/g;
const NO_ENGINE = /^no available backend found/;
const next = (place) => place + ((8 - (place % 8)) % 8);

let ort, session, feeds;
const said = [];

function lineOf(error) {
  const words = typeof error === "number" ? `the engine threw ${error}` : String(error?.message ?? error);
  return words.split(/\s+/).join(" ").slice(0, 400);
}

function keepSaid() {
  // What the engine logs is read here and goes no further: through the console it would take a part of the time.
  for (const name of ["log", "warn", "error", "info", "debug"]) {
    console[name] = (...words) => { if (said.length < 20000) said.push(words.join(" ")); };
  }
}

function fromFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const entries = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const found = {};
  let place = next(4 + length);
  for (const { name, dtype, shape } of entries) {
    const count = shape.reduce((product, size) => product * size, 1);
    const data = new TYPES[dtype](buffer, place, count);
    found[name] = new ort.Tensor(dtype, data, shape);
    place = next(place + data.byteLength);
  }
  return found;
}

function toFrame(tensors) {
  const header = new TextEncoder().encode(JSON.stringify(tensors.map(
    ([name, { type, dims }]) => ({ name, dtype: type, shape: dims }))));
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, header.length, true);
  const parts = [size, header, new Uint8Array(next(4 + header.length) - 4 - header.length)];
  for (const [, { data }] of tensors) {
    parts.push(data, new Uint8Array(next(data.byteLength) - data.byteLength));
  }
  return new Blob(parts);
}

async function bytes(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function adapterOf() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return null;
  const { vendor = "", architecture = "", device = "", description = "", isFallbackAdapter } = adapter.info;
  const name = [vendor, architecture, device, description].filter(Boolean).join(" ") || "unnamed";
  return { name, software: Boolean(isFallbackAdapter) || SOFTWARE.test(name), halves: adapter.features.has("shader-f16") };
}

// Where the engine put the nodes, by its own words; empty where it says nothing.
function placed() {
  const found = {};
  for (const line of said) {
    for (const [, provider, count] of line.matchAll(PLACED)) found[provider] = (found[provider] ?? 0) + Number(count);
  }
  return found;
}

async function load({ build, provider, threads, data }) {
  let adapter = null;
  if (provider === "webgpu") {
    adapter = await adapterOf();
    if (!adapter) return { absent: true };
  }
  keepSaid();
  try {
    ort = await import(`./ort/${build}`);
  } catch (error) {
    return { engine: lineOf(error) };
  }
  Object.assign(ort.env.wasm, { wasmPaths: new URL("./ort/", location.href).href, numThreads: threads });
  const verbose = provider === "webgpu";
  ort.env.logLevel = verbose ? "verbose" : "error";
  const model = await bytes("files/0");
  const externalData = [];
  for (const [index, path] of data.entries()) externalData.push({ path, data: await bytes(`files/${index + 1}`) });
  const start = performance.now();
  try {
    session = await ort.InferenceSession.create(model, {
      executionProviders: [provider], externalData, logSeverityLevel: verbose ? 0 : 3, logVerbosityLevel: 0,
    });
  } catch (error) {
    // The engine's own WASM did not start, before it looked at the model.
    if (NO_ENGINE.test(lineOf(error))) return { engine: lineOf(error) };
    throw error;
  }
  const creation = performance.now() - start;
  return { creation_ms: creation, adapter, placed: placed(), isolated: crossOriginIsolated };
}

async function run() {
  const inputs = fromFrame((await bytes("inputs")).buffer);
  const start = performance.now();
  const outputs = await session.run(inputs);
  const ms = performance.now() - start;
  const entries = session.outputNames.map((name) => [name, outputs[name]]);
  const unknown = entries.find(([, tensor]) => !(tensor?.type in TYPES));
  if (unknown) throw new Error(`output ${unknown[0]} is ${unknown[1]?.type}, which no typed array here holds`);
  const answer = await fetch("outputs", { method: "POST", body: toFrame(entries) });
  if (!answer.ok) throw new Error(`outputs: HTTP ${answer.status}`);
  return { ms };
}

async function prepare() {
  feeds = fromFrame((await bytes("inputs")).buffer);
  return {};
}

async function time() {
  const start = performance.now();
  await session.run(feeds);
  return { ms: performance.now() - start };
}

// What goes wrong is an answer, in one line: an exception would come with the page's stack.
const guarded = (call) => async (argument) => {
  try {
    return await call(argument);
  } catch (error) {
    return { error: lineOf(error) };
  }
};

globalThis.harness = Object.fromEntries(
  Object.entries({ load, run, prepare, time }).map(([name, call]) => [name, guarded(call)]));
