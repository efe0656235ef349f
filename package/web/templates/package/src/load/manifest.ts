/** The manifest of a model folder, read as if it came from a stranger. */

import type { Contract } from "../host/index.js";
import { LoadError } from "./errors.js";

export interface FileEntry {
  readonly sha256: string;
  readonly bytes: number;
}

export interface FunctionFiles {
  readonly graph: string;
  readonly data: readonly string[];
}

export interface VocabularyFiles {
  readonly tokens: string;
  readonly titles: string | null;
  readonly spellings: string | null;
}

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly contract_sha256: string;
  readonly functions: ReadonlyMap<string, FunctionFiles>;
  readonly vocabularies: ReadonlyMap<string, VocabularyFiles>;
  readonly files: ReadonlyMap<string, FileEntry>;
}

type Table = Readonly<Record<string, unknown>>;

const DIGEST = /^[0-9a-f]{64}$/;
const NEXT = "copy the package's model folder to the server again";

/** The manifest, if it is whole, stays in its folder and is of this contract. */
export function parseManifest(text: string, contract: Contract, contractSha256: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad("is no JSON");
  }
  const table = tableOf(value, "it");
  if (table["schema"] !== 1) throw bad(`has schema ${shown(table["schema"])}; expected 1`);
  const digest = textOf(table["contract_sha256"], "contract_sha256");
  if (digest !== contractSha256) {
    throw new LoadError(
      "other_contract",
      `manifest.json is of a model with another contract (${digest.slice(0, 12)}…, expected ` +
        `${contractSha256.slice(0, 12)}…); generate the package again from the model's bundle, or host the model ` +
        "that came with this package",
    );
  }
  const files = new Map(Object.entries(tableOf(table["files"], "files")).map(([name, each]) => [name, entryOf(name, each)]));
  const manifest = {
    name: textOf(table["name"], "name"),
    version: textOf(table["version"], "version"),
    contract_sha256: digest,
    functions: mapOf(contract.functions, tableOf(table["functions"], "functions"), "functions", (each, where) => ({
      graph: listed(files, textOf(each["graph"], `${where}.graph`)),
      data: listOf(each["data"], `${where}.data`).map((name) => listed(files, textOf(name, `${where}.data`))),
    })),
    vocabularies: mapOf(contract.vocabularies, tableOf(table["vocabularies"], "vocabularies"), "vocabularies", (each, where) => ({
      tokens: listed(files, textOf(each["tokens"], `${where}.tokens`)),
      titles: optional(files, each["titles"], `${where}.titles`),
      spellings: optional(files, each["spellings"], `${where}.spellings`),
    })),
    files,
  };
  checkVocabularies(manifest, contract);
  return manifest;
}

/** Checks that vocabularies are those of the contract, which the package itself holds. */
function checkVocabularies(manifest: Manifest, contract: Contract): void {
  for (const [name, spec] of Object.entries(contract.vocabularies)) {
    const found = manifest.vocabularies.get(name);
    const expected: readonly (readonly [string | null | undefined, string | undefined])[] = [
      [found?.tokens, spec.sha256],
      [found?.titles, spec.titles_sha256],
      [found?.spellings, spec.spellings_sha256],
    ];
    for (const [file, digest = ""] of expected) {
      const came = file === null || file === undefined ? "" : manifest.files.get(file)?.sha256;
      if (came !== digest) {
        throw bad(`lists ${file ?? "no file"} for vocabulary ${name}, which is not the one of the contract`);
      }
    }
  }
}

/** A value for each of the contract's names. */
function mapOf<T>(
  names: Readonly<Record<string, unknown>>,
  table: Table,
  key: string,
  read: (value: Table, where: string) => T,
): Map<string, T> {
  const found = new Map<string, T>();
  for (const name of Object.keys(names)) {
    const where = `${key}.${name}`;
    if (!Object.hasOwn(table, name)) throw bad(`lacks ${where}`);
    found.set(name, read(tableOf(table[name], where), where));
  }
  return found;
}

function entryOf(name: string, value: unknown): FileEntry {
  const parts = name.split("/");
  const plain = parts.every((each) => each !== "" && each !== "." && each !== "..");
  // Letters of one kind only: no scheme, no query, no escape that a server or a browser reads in its own way.
  if (!plain || !/^[A-Za-z0-9_./ -]+$/.test(name)) {
    throw bad(`lists ${shown(name)}, which is no plain path inside of the model folder`);
  }
  const entry = tableOf(value, `files.${name}`);
  const { sha256, bytes } = entry;
  if (typeof sha256 !== "string" || !DIGEST.test(sha256)) throw bad(`has no sha256 for ${name}`);
  if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) throw bad(`has no size for ${name}`);
  return { sha256, bytes };
}

function listed(files: ReadonlyMap<string, FileEntry>, name: string): string {
  if (!files.has(name)) throw bad(`names ${shown(name)}, which is not among its files`);
  return name;
}

function optional(files: ReadonlyMap<string, FileEntry>, value: unknown, where: string): string | null {
  return value === null || value === undefined ? null : listed(files, textOf(value, where));
}

function tableOf(value: unknown, where: string): Table {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad(`has ${shown(value)} where ${where} has to be an object`);
  }
  return value as Table;
}

function listOf(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw bad(`has ${shown(value)} where ${where} has to be a list`);
  return value;
}

function textOf(value: unknown, where: string): string {
  if (typeof value !== "string") throw bad(`has ${shown(value)} where ${where} has to be text`);
  return value;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) as string | undefined)?.slice(0, 80) ?? "nothing";
}

function bad(what: string): LoadError {
  return new LoadError("bad_manifest", `manifest.json ${what}; ${NEXT}`);
}
