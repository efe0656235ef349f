/** Files that were fetched once, by their digest; a page that may not store anything goes without. */

const CACHE = "pocketrec-1";
// Cache Storage keeps requests, so a digest is written as the address of one; nothing is ever fetched from there.
const FILE = "https://sha256.invalid/";
const MANIFEST = "https://manifest.invalid/?of=";

export class Store {
  readonly #writing: Promise<void>[] = [];

  private constructor(private readonly cache: Cache | undefined) {}

  /** The page's store; an empty one where there is none, or where `use` is false. */
  static async open(use: boolean): Promise<Store> {
    if (!use || !("caches" in globalThis)) return new Store(undefined);
    try {
      return new Store(await caches.open(CACHE));
    } catch {
      return new Store(undefined); // private windows and full disks refuse
    }
  }

  /** Whether anything can be kept. */
  get keeps(): boolean {
    return this.cache !== undefined;
  }

  /** The bytes kept under a digest, unchecked. */
  async file(sha256: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.get(FILE + sha256);
  }

  /** Keeps bytes under their digest while other work goes on; a full store keeps nothing. */
  keepFile(sha256: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.#writing.push(this.put(FILE + sha256, bytes));
  }

  /** Waits for what is still being kept. */
  async written(): Promise<void> {
    await Promise.all(this.#writing.splice(0));
  }

  /** Forgets what is kept under a digest. */
  async forgetFile(sha256: string): Promise<void> {
    await this.cache?.delete(FILE + sha256).catch(() => false);
  }

  /** The manifest that was kept for an address. */
  async manifest(url: string): Promise<string | undefined> {
    const bytes = await this.get(MANIFEST + encodeURIComponent(url));
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  /** Keeps a manifest for its address. */
  async keepManifest(url: string, text: string): Promise<void> {
    await this.put(MANIFEST + encodeURIComponent(url), new TextEncoder().encode(text));
  }

  private async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const found = await this.cache?.match(key);
      return found === undefined ? undefined : new Uint8Array(await found.arrayBuffer());
    } catch {
      return undefined; // what cannot be read is fetched
    }
  }

  private async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.cache?.put(key, new Response(bytes)).catch(() => undefined);
  }
}
