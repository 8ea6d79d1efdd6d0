import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { eventually, silentLogger } from "../../kube/testing/silence.ts";
import { CertificateFiles } from "../../net/certificate-files.ts";
import { TestAgent } from "../testing/agent.ts";
import { distributionOptions } from "../testing/distribution.ts";
import { DistributionServer } from "./server.ts";

const NAME = "portcullis-operator.portcullis-system.svc";
let folder: string;

const path = (name: string) => join(folder, name);

before(() => {
  folder = mkdtempSync(join(tmpdir(), "distribution-"));
  certificate("one");
});
after(() => rmSync(folder, { recursive: true }));

function certificate(name: string): void {
  const subject = ["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path(`${name}.key`)];
  execFileSync("openssl", ["req", "-x509", ...key, "-out", path(`${name}.crt`), "-days", "1", ...subject], {
    stdio: "ignore",
  });
}

function serverWith(tls: { certificateFile: string; keyFile: string }, log = silentLogger()): DistributionServer {
  const server = new DistributionServer({ ...distributionOptions(), tls, log });
  servers.push(server);
  return server;
}

const servers: DistributionServer[] = [];
const agents: TestAgent[] = [];

afterEach(async () => {
  for (const agent of agents.splice(0)) agent.disconnect();
  for (const server of servers.splice(0)) await server.close();
});

function agentOf(server: DistributionServer, name: string): TestAgent {
  const tls = { authority: readFileSync(path("one.crt")), name };
  const agent = new TestAgent({ address: `127.0.0.1:${server.port}`, node: "n1", token: "t", tls });
  agents.push(agent);
  return agent.connect();
}

test("agents are served over TLS, and only under the certificate's name", async () => {
  const server = serverWith({ certificateFile: path("one.crt"), keyFile: path("one.key") });
  await server.listen();
  const agent = agentOf(server, NAME);
  await eventually("a state", () => agent.states.length === 1);
  const stranger = agentOf(server, "other");
  await eventually("no connection", () => stranger.ended !== null);
  assert.equal(stranger.states.length, 0);
});

test("a certificate that is not there, or has another key, is reported by its name", async () => {
  certificate("two");
  const keyFile = path("one.key");
  await assert.rejects(serverWith({ certificateFile: path("missing.crt"), keyFile }).listen(), {
    code: "PC_UNREADABLE",
    message: /missing\.crt/,
  });
  await assert.rejects(serverWith({ certificateFile: path("two.crt"), keyFile }).listen(), {
    code: "PC_UNREADABLE",
    message: /two\.crt with .*one\.key/,
  });
});

test("when a certificate ends is known, and said before and after", async () => {
  certificate("short");
  const lines: string[] = [];
  const server = serverWith({ certificateFile: path("short.crt"), keyFile: path("short.key") }, silentLogger(lines));
  await server.listen();
  const left = (server.certificateExpiresAt ?? 0) - Date.now();
  assert.ok(left > 23 * 3_600_000 && left <= 24 * 3_600_000, `${left} ms`);
  assert.match(lines.join(), /the certificate expires soon; renew it/);
});

test("a renewed certificate is taken up, and half a one is not", async () => {
  certificate("live");
  const files = new CertificateFiles(
    { certificateFile: path("live.crt"), keyFile: path("live.key") },
    silentLogger(),
    10,
  );
  const seen: string[] = [];
  files.addIdentityCertificateListener((pair) => seen.push(pair?.certificate.toString() ?? "none"));
  await eventually("the first one", () => seen.length === 1);
  certificate("next");
  copyFileSync(path("next.crt"), path("live.crt"));
  await new Promise((settle) => setTimeout(settle, 50));
  assert.equal(seen.length, 1);
  copyFileSync(path("next.key"), path("live.key"));
  await eventually("the next one", () => seen.length === 2);
  assert.equal(seen[1], readFileSync(path("next.crt"), "utf8"));
  files.close();
});
