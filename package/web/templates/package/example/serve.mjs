// Serves the package on loopback, isolated so that WebAssembly may use threads: node example/serve.mjs [port]
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const types = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};

const port = Number(process.argv[2] ?? 8080);
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const path = normalize(join(root, decodeURIComponent(pathname)));
  const found = path.startsWith(root) && !path.includes(`${sep}.`) ? statSync(path, { throwIfNoEntry: false }) : undefined;
  if (found === undefined || !found.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": types[extname(path)] ?? "application/octet-stream",
    "content-length": found.size,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; img-src 'self' data:",
  });
  createReadStream(path).pipe(response);
});
server.on("error", (error) => {
  console.error(`port ${String(port)} cannot be served (${error.message}); pass another: npm run example -- 8090`);
  process.exitCode = 1;
});
server.listen(port, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${String(server.address().port)}/example/index.html`);
});
