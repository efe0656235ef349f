/** Files of a model folder: from the store or the server, each checked before it is used. */

import type { Contract } from "../host/index.js";
import { LoadError, reasonOf } from "./errors.js";
import { parseManifest, type FileEntry, type Manifest } from "./manifest.js";
import type { OnState } from "./state.js";
import type { Store } from "./store.js";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Source {
  /** The model folder, with a slash at its end. */
  readonly url: URL;
  readonly store: Store;
  readonly signal: AbortSignal | undefined;
  readonly onState: OnState;
}

/** The address of a model folder. */
export function folderUrl(url: string | URL): URL {
  const { document, location } = globalThis as { readonly document?: Document; readonly location?: Location }; // Node has neither
  const base = document?.baseURI ?? location?.href;
  let found: URL;
  try {
    found = new URL(url, base);
  } catch {
    throw new LoadError("bad_url", `${JSON.stringify(String(url))} is no address; pass the address of the model folder`);
  }
  if (!found.pathname.endsWith("/")) found.pathname += "/";
  return found;
}

/** The manifest from the server; the one kept where there is no way to it. */
export async function fetchManifest(source: Source, contract: Contract, contractSha256: string): Promise<Manifest> {
  source.onState({ status: "fetching", file: "manifest.json", loaded: 0, total: 0 });
  const address = new URL("manifest.json", source.url);
  let text: string;
  try {
    const response = await get(source, address, "no-cache");
    text = await response.text();
  } catch (error) {
    source.signal?.throwIfAborted();
    const kept = isAway(error) ? await source.store.manifest(address.href) : undefined;
    if (kept === undefined) throw error instanceof LoadError ? error : unreachable(address, error);
    return parseManifest(kept, contract, contractSha256);
  }
  const manifest = parseManifest(text, contract, contractSha256);
  await forgetOlder(source.store, address.href, manifest);
  await source.store.keepManifest(address.href, text);
  return manifest;
}

/** Whether a server did not answer, or is not well, so that what was kept may stand in. */
function isAway(error: unknown): boolean {
  return !(error instanceof LoadError) || error.code === "unreachable";
}

/** Forgets files that the earlier manifest of this address listed and this one does not. */
async function forgetOlder(store: Store, address: string, manifest: Manifest): Promise<void> {
  const text = await store.manifest(address);
  if (text === undefined) return;
  const kept = new Set([...manifest.files.values()].map((each) => each.sha256));
  const older = new Set(text.match(/\b[0-9a-f]{64}\b/g) ?? []);
  await Promise.all([...older].filter((each) => !kept.has(each)).map((each) => store.forgetFile(each)));
}

/** The files of these names, each as its digest says. */
export async function fetchFiles(source: Source, manifest: Manifest, names: Iterable<string>): Promise<Map<string, Bytes>> {
  const wanted = new Map([...new Set(names)].map((name) => [name, entryOf(manifest, name)] as const));
  const total = [...wanted.values()].reduce((sum, each) => sum + each.bytes, 0);
  const counts = new Map<string, number>();
  const fetched = [...wanted].map(async ([name, entry]) => {
    const advance = (status: "fetching" | "checking", bytes: number): void => {
      counts.set(name, bytes);
      const loaded = [...counts.values()].reduce((sum, each) => sum + each, 0);
      source.onState({ status, file: name, loaded, total });
    };
    return [name, await fetchFile(source, name, entry, advance)] as const;
  });
  return new Map(await Promise.all(fetched));
}

type Advance = (status: "fetching" | "checking", bytes: number) => void;

/** One file: what the store has, if it is what it should be, else from the server. */
async function fetchFile(source: Source, name: string, entry: FileEntry, advance: Advance): Promise<Bytes> {
  source.signal?.throwIfAborted();
  const kept = await source.store.file(entry.sha256);
  if (kept !== undefined) {
    advance("checking", entry.bytes);
    if (kept.length === entry.bytes && (await sha256(kept)) === entry.sha256) return kept;
    await source.store.forgetFile(entry.sha256);
  }
  const bytes = await download(source, name, entry, advance, "default").catch(async (error: unknown) => {
    if (!(error instanceof LoadError && error.code === "altered_file")) throw error;
    return download(source, name, entry, advance, "reload"); // an older file may lie in the browser's own cache
  });
  source.store.keepFile(entry.sha256, bytes);
  return bytes;
}

/** A file as the server sends it, checked. */
async function download(source: Source, name: string, entry: FileEntry, advance: Advance, cache: RequestCache): Promise<Bytes> {
  advance("fetching", 0);
  const address = new URL(name, source.url);
  const response = await get(source, address, cache);
  let bytes: Bytes;
  try {
    bytes = await readBody(response, name, entry, advance);
  } catch (error) {
    source.signal?.throwIfAborted(); // a body that is cut off has an error of its own
    if (error instanceof LoadError) throw error;
    throw unreachable(address, error);
  }
  advance("checking", entry.bytes);
  const came = await sha256(bytes);
  source.signal?.throwIfAborted();
  if (came !== entry.sha256) {
    throw altered(name, `has sha256 ${came.slice(0, 12)}…, expected ${entry.sha256.slice(0, 12)}…`);
  }
  return bytes;
}

/** The bytes of a body, exactly as many as the manifest says. */
async function readBody(response: Response, name: string, entry: FileEntry, advance: Advance): Promise<Bytes> {
  const bytes = allocate(name, entry.bytes);
  const reader = response.body?.getReader();
  let count = 0;
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    if (count + part.value.length > entry.bytes) {
      await reader?.cancel();
      throw altered(name, `has more than ${String(entry.bytes)} bytes`);
    }
    bytes.set(part.value, count);
    count += part.value.length;
    advance("fetching", count);
  }
  if (count !== entry.bytes) throw altered(name, `has ${String(count)} bytes, expected ${String(entry.bytes)}`);
  return bytes;
}

function allocate(name: string, count: number): Bytes {
  try {
    return new Uint8Array(count);
  } catch {
    throw new LoadError("no_memory", `${name} takes ${String(count)} bytes, which the page cannot have; close other tabs`);
  }
}

async function get(source: Source, address: URL, cache: RequestCache): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { cache, ...(source.signal === undefined ? {} : { signal: source.signal }) });
  } catch (error) {
    source.signal?.throwIfAborted();
    throw unreachable(address, error);
  }
  if (!response.ok) {
    throw new LoadError(
      response.status < 500 ? "http_status" : "unreachable",
      `${address.href} answers ${String(response.status)}; host the package's model folder there, whole`,
    );
  }
  return response;
}

function unreachable(address: URL, error: unknown): LoadError {
  const why = `${address.href} cannot be fetched (${reasonOf(error)})`;
  return new LoadError("unreachable", `${why}; check the connection, then load again`, { cause: error });
}

function altered(name: string, what: string): LoadError {
  return new LoadError("altered_file", `${name} ${what}; copy the package's model folder to the server again`);
}

function entryOf(manifest: Manifest, name: string): FileEntry {
  const entry = manifest.files.get(name);
  if (entry === undefined) throw new RangeError(`the manifest has no file ${name}`);
  return entry;
}

/** The sha256 of bytes, hex. */
export async function sha256(bytes: Bytes): Promise<string> {
  const { subtle } = globalThis.crypto as { readonly subtle?: SubtleCrypto };
  if (subtle === undefined) {
    throw new LoadError(
      "insecure_context",
      "files cannot be checked, as the page's address is not a secure one; serve it over https or from localhost",
    );
  }
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  return Array.from(digest, (each) => each.toString(16).padStart(2, "0")).join("");
}
