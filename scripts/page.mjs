// `npm run page`: serves the demonstration page, cross-origin isolated so that processors get threads of their own.
// With --no-isolation the page runs single-threaded instead. --port=N chooses the port (default 8080).
import { createServer } from "node:http";
import { createReadStream, existsSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".wasm": "application/wasm", ".map": "application/json" };
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** A static server for `folder`; `extra` maps further paths to files. */
export function serve({ folder, isolated, extra = {}, port = 0 }) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://host").pathname)).replace(/^(\.\.[/\\])+/, "");
    const file = extra[path] ?? join(folder, path.endsWith("/") ? `${path}index.html` : path);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end("not found");
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", ...(isolated ? ISOLATION : {}) });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

if (process.argv[1]?.endsWith("page.mjs")) {
  const option = (name) => process.argv.find((word) => word.startsWith(`--${name}=`))?.split("=")[1];
  const isolated = !process.argv.includes("--no-isolation");
  const server = await serve({ folder: join(import.meta.dirname, "../dist/page"), isolated, port: Number(option("port") ?? 8080) });
  console.log(`xenolith: http://127.0.0.1:${server.address().port}/ (${isolated ? "isolated: with threads" : "single-threaded"}; Ctrl-C ends)`);
}
