/**
 * The names that the pages use, as they are on the internet: example.com and example.org answer HTTP and HTTPS. In the network
 * namespace that the end-to-end tests call "outside", so that nothing of a page reaches the world.
 *
 *     node test/docs/internet.ts KEY CERTIFICATE ADDRESS...
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";

const [key = "", certificate = "", ...addresses] = process.argv.slice(2);
const PAGE = "<!doctype html><title>Example Domain</title>\n";

const tls = { key: readFileSync(key), cert: readFileSync(certificate) };
const answer: RequestListener = (_, response) => response.end(PAGE);
for (const address of addresses) {
  await once(createServer(answer).listen(80, address), "listening");
  await once(createSecureServer(tls, answer).listen(443, address), "listening");
}
console.log("ready");
