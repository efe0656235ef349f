// In the page: the generated package through its public class, and bare onnxruntime-web beside it.
const ORT = new URL("/node_modules/onnxruntime-web/dist/", location.href);
const TYPES = { int32: Int32Array, int64: BigInt64Array, float32: Float32Array, bool: Uint8Array };
let model;
let vectors;

const camel = (name) => name.replace(/_+([a-z0-9])/gi, (_, letter) => letter.toUpperCase());
const tensor = ({ dtype, shape, data }) => ({ dtype, shape, data: TYPES[dtype].from(data, dtype === "int64" ? BigInt : undefined) });
const plainTensor = ({ dtype, shape, data }) => ({ dtype, shape, data: Array.from(data, Number) });

/** Loads the class of a generated package; says where it runs. */
export async function load(typeName, provider, cache = true) {
  const package_ = await import("/dist/src/index.js");
  model = await package_[typeName].load("/model/", { provider, ortUrl: ORT, cache });
  return { provider: model.provider, fallback: model.fallback ?? null, threads: model.threads };
}

/** One run of a function on tensors. */
export async function run(name, inputs) {
  const asked = Object.fromEntries(Object.entries(inputs).map(([each, value]) => [each, tensor(value)]));
  const outputs = await model.loaded.host.given.run(name, asked);
  return Object.fromEntries(Object.entries(outputs).map(([each, value]) => [each, plainTensor(value)]));
}

/** The API vectors, asked of the class's own methods; its sessions carry the states. */
export async function replay(tolerances, tieTolerance) {
  const host = await import("/dist/src/host/index.js");
  vectors ??= await (await fetch("/model/api.json")).json();
  const sessions = new Map();
  const ask = async (method, given, states) => {
    let asked = model;
    if (states !== undefined) {
      if (!sessions.has(states)) sessions.set(states, model.session());
      asked = sessions.get(states);
    }
    return host.plain(await asked[camel(method)](given));
  };
  const calls = await host.replay(model.loaded.host, vectors, tolerances, tieTolerance, ask);
  const rules = host.replayRules(model.loaded.host, vectors);
  return { compared: calls.compared + rules.compared, differences: [...calls.differences, ...rules.differences] };
}

/** The first call of the vectors that has an answer. */
async function firstCall() {
  vectors ??= await (await fetch("/model/api.json")).json();
  return vectors.calls.find((each) => each.answer !== null);
}

/** The run that the first call makes: the function's name and its inputs. */
export async function encoded(typeName, provider) {
  const { Host } = await import("/dist/src/host/index.js");
  await load(typeName, provider);
  const call = await firstCall();
  let found;
  const run = async (name, inputs) => {
    found ??= { name, inputs: Object.fromEntries(Object.entries(inputs).map(([each, value]) => [each, plainTensor(value)])) };
    return model.loaded.host.given.run(name, inputs);
  };
  await new Host({ ...model.loaded.host.given, run }).call(call.method, call.arguments);
  return found;
}

/**
 * Milliseconds from nothing to the first answer of the package; its modules, which an app bundles into its own, are
 * there already unless they are to be `fetched` one by one.
 */
export async function firstAnswer(typeName, provider, fetched) {
  const call = await firstCall();
  if (!fetched) await import("/dist/src/index.js");
  const begun = performance.now();
  await load(typeName, provider);
  await model[camel(call.method)](call.arguments);
  return performance.now() - begun;
}

/** Milliseconds from nothing to the same answer of bare onnxruntime-web: files fetched, a session, a run, the best. */
export async function firstBare(provider, graph, data, inputs, output, k) {
  await firstCall();
  const begun = performance.now();
  await openBare(provider, graph, data);
  await bare(inputs, output, k);
  return performance.now() - begun;
}

let ort;
let session;

async function openBare(provider, graph, data) {
  ort = await import(new URL(`ort.${provider}.min.mjs`, ORT).href);
  ort.env.wasm.wasmPaths = ORT.href;
  ort.env.wasm.numThreads = Math.max(1, Math.min(4, Math.ceil(navigator.hardwareConcurrency / 2)));
  const [bytes, ...more] = await Promise.all(
    [graph, ...data].map(async (each) => new Uint8Array(await (await fetch(`/model/${each}`)).arrayBuffer())),
  );
  session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    externalData: data.map((path, place) => ({ path, data: more[place] })),
  });
}

async function alone(inputs, output) {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape, data }]) => [name, new ort.Tensor(dtype, TYPES[dtype].from(data), shape)]),
  );
  return (await session.run(feeds))[output].data;
}

/** What an app would write by hand: tensors, a run, and the k best of one output. */
async function bare(inputs, output, k) {
  const scores = await alone(inputs, output);
  return Array.from(scores, (score, id) => ({ id, score }))
    .sort((left, right) => right.score - left.score || left.id - right.id)
    .slice(0, k);
}

/** Median milliseconds of a call, the package and bare onnxruntime-web in turn. */
export async function medians(typeName, provider, graph, data, inputs, output, k, runs) {
  const call = await firstCall();
  await load(typeName, provider);
  await openBare(provider, graph, data);
  const times = { package: [], bare: [], alone: [] };
  for (let turn = 0; turn < runs + 10; turn += 1) {
    for (const [name, work] of [
      ["package", () => model[camel(call.method)](call.arguments)],
      ["bare", () => bare(inputs, output, k)],
      ["alone", () => alone(inputs, output)],
    ]) {
      const begun = performance.now();
      await work();
      if (turn >= 10) times[name].push(performance.now() - begun);
    }
  }
  const median = (values) => values.sort((left, right) => left - right)[values.length >> 1];
  return { package: median(times.package), bare: median(times.bare), alone: median(times.alone) };
}
