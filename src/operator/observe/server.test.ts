/** The way in: TLS, which operator is believed to be one, and rights that are taken away. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { eventually, silentLogger } from "../../kube/testing/silence.ts";
import { OBSERVE_PATH } from "../../protocol/observe.ts";
import type { ObserverAccess } from "./access.ts";
import { ObserverHub } from "./hub.ts";
import { ObserveRefusal } from "./refusal.ts";
import { ObserveServer } from "./server.ts";

const folder = mkdtempSync(join(tmpdir(), "observe-"));
const file = (name: string) => join(folder, name);
const tls = { certificateFile: file("ours.crt"), keyFile: file("ours.key") };
const servers: { close(): unknown }[] = [];
const REQUEST = JSON.stringify({ token: "t", namespace: "a", pod: "web", verdicts: ["dropped"], rate: 1 });

before(() => {
  for (const name of ["ours", "theirs"]) {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file(`${name}.key`)];
    const subject = ["-subj", "/CN=operator", "-addext", "subjectAltName=DNS:operator"];
    execFileSync("openssl", ["req", "-x509", ...key, "-out", file(`${name}.crt`), "-days", "1", ...subject], {
      stdio: "ignore",
    });
  }
});
after(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

interface ServerOptions {
  address?: string;
  leader?: string;
  authorize?: ObserverAccess["authorize"];
}

async function serve({ address = "127.0.0.1:0", leader, authorize = async () => {} }: ServerOptions) {
  const hub = new ObserverHub({
    describe: () => ({ uid: "1", node: "n1", profiles: [], actions: [], notes: [] }),
  });
  hub.connected("n1", { subscribe: () => {} });
  const server = new ObserveServer({
    address,
    tls,
    hub,
    access: { authenticate: async () => ({ username: "u", uid: "", groups: [], extra: {} }), authorize },
    notServing: () => (leader === undefined ? null : { message: "another leads", leader }),
    onRequest: () => {},
    recheckInterval: 20,
    log: silentLogger(),
  });
  await server.listen();
  servers.push(server);
  return { server, hub };
}

/** What comes back, line by line, and the status. */
function ask(host: string, port: number, body: string | null = REQUEST) {
  const answer = { status: 0, text: "", ended: false, destroy: () => {} };
  const ca = readFileSync(file("ours.crt"));
  const request = https.request({ host, port, path: OBSERVE_PATH, method: "POST", ca, servername: "operator" });
  request.on("response", (response) => {
    answer.status = response.statusCode ?? 0;
    response.setEncoding("utf8").on("data", (text) => {
      answer.text += text;
    });
    response.on("error", () => {});
    response.on("close", () => {
      answer.ended = true;
    });
  });
  request.on("error", () => {
    answer.ended = true;
  });
  answer.destroy = () => request.destroy(new Error("enough"));
  if (body === null) request.write("{");
  else request.end(body);
  servers.push({ close: () => request.destroy() });
  return answer;
}

test("a request goes on to the leader, which has the same certificate, and is over when the leader ends", async () => {
  const { server: leader, hub } = await serve({ address: "127.0.0.3:0" });
  const { server: standby } = await serve({ address: `127.0.0.4:${leader.port}`, leader: "127.0.0.3:8443" });
  const answer = ask("127.0.0.4", standby.port);
  await eventually("it is observed", () => answer.text.includes('"observing"'));
  assert.equal(hub.size, 1);
  hub.endAll("enough");
  await eventually("the end", () => answer.ended);
  assert.match(answer.text, /"message":"enough"/);
});

test("who has another certificate is not shown the observer's token", async () => {
  const seen: string[] = [];
  const stranger = https.createServer({
    cert: readFileSync(file("theirs.crt")),
    key: readFileSync(file("theirs.key")),
  });
  stranger.on("request", (request, response) => {
    seen.push(request.url ?? "");
    response.end();
  });
  await new Promise<void>((settle) => stranger.listen(0, "127.0.0.5", settle));
  servers.push(stranger);
  const { port } = stranger.address() as AddressInfo;
  const { server: standby } = await serve({ address: `127.0.0.4:${port}`, leader: "127.0.0.5:8443" });
  const answer = ask("127.0.0.4", standby.port);
  await eventually("a refusal", () => answer.ended);
  assert.equal(answer.status, 503);
  assert.match(answer.text, /another certificate than this operator/);
  assert.deepEqual(seen, []);
});

test("nobody leads, and two that take each other for the leader, end in a word", async () => {
  const { server: alone } = await serve({ leader: "" });
  const first = ask("127.0.0.1", alone.port);
  await eventually("a refusal", () => first.ended);
  assert.match(first.text, /another leads; try again/);
  const { server: one } = await serve({ address: "127.0.0.6:0", leader: "127.0.0.7:1" });
  await serve({ address: `127.0.0.7:${one.port}`, leader: "127.0.0.6:1" });
  const second = ask("127.0.0.6", one.port);
  await eventually("a refusal", () => second.ended);
  assert.equal(second.status, 503);
});

test("a right that is taken away ends the observation; an API server that is away does not", async () => {
  let verdict: ObserveRefusal | null = null;
  let asked = 0;
  const { server } = await serve({
    authorize: async () => {
      asked += 1;
      if (verdict !== null) throw verdict;
    },
  });
  const answer = ask("127.0.0.1", server.port);
  await eventually("it is observed", () => answer.text.includes('"observing"'));
  verdict = new ObserveRefusal("ServiceUnavailable", "away");
  const before = asked;
  await eventually("it was asked", () => asked > before + 1);
  assert.equal(answer.ended, false);
  verdict = new ObserveRefusal("Forbidden", "not any more");
  await eventually("the end", () => answer.ended);
  assert.match(answer.text, /not any more","again":false/);
});

test("a flood of requests does not become one of questions to the API server", async () => {
  let asked = 0;
  const { server } = await serve({
    authorize: async () => {
      asked += 1;
      throw new ObserveRefusal("Forbidden", "no");
    },
  });
  const answers = Array.from({ length: 100 }, () => ask("127.0.0.1", server.port));
  await eventually("answers", () => answers.every(({ ended }) => ended), 20_000);
  assert.ok(asked < 100, `${asked} questions`);
  assert.ok(answers.some(({ status }) => status === 429));
});

test("a body that is too long, or breaks off, ends the one request and nothing else", async () => {
  const { server } = await serve({});
  const long = ask("127.0.0.1", server.port, "x".repeat(256 * 1024));
  await eventually("an end", () => long.ended);
  assert.equal(long.status, 400);
  const broken = ask("127.0.0.1", server.port, null);
  setTimeout(() => broken.destroy(), 20);
  await eventually("an end", () => broken.ended);
  const good = ask("127.0.0.1", server.port);
  await eventually("it is observed", () => good.text.includes('"observing"'));
});
