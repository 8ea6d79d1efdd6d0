/** `portcullis run`: a folder of profiles, ports that lead in, and a summary of who talked to whom. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { PORTCULLIS } from "./harness/agent-under-test.ts";
import { Fixture } from "./harness/fixture.ts";
import { RunningProcess } from "./harness/processes.ts";
import { profile } from "./harness/profiles.ts";
import { networkState } from "./harness/traces.ts";

const fixture = await Fixture.start("published", { apps: ["shop"], startAgent: false });
const { node, outside } = fixture.topology;
const listed = fixture.program("busybox", "/bin/busybox");
const profiles = fixture.path("web-profiles");
mkdirSync(profiles);
const ingress = { cidr4: ["0.0.0.0/0"], l4: { protocolPorts: [{ protocol: "tcp" as const, port: 80 }] } };
writeFileSync(`${profiles}/web.yaml`, JSON.stringify(profile("shop", [{ path: listed, network: { ingress } }])));
writeFileSync(`${profiles}/README.md`, "no manifest");
writeFileSync(fixture.path("index.html"), "published\n");
const pristine = networkState(node.name);

/** Runs a web server under the folder's profile until the callback has looked at it. @returns what run wrote to standard error */
async function served(server: string, args: string[], look: () => Promise<void>): Promise<string> {
  const script = `echo ready; exec "$0" httpd -f -p 80 -h ${fixture.path("")}`;
  const command = ["run", "--profile", profiles, ...args, "--", "sh", "-c", script, server];
  const running = RunningProcess.in(node.name, PORTCULLIS, command);
  await running.line("ready");
  await look();
  running.child.kill("SIGTERM");
  const { stderr } = await running.finish(20_000);
  assert.equal(networkState(node.name), pristine, "nothing is left");
  return stderr;
}

/** What curl gets from a network namespace; null: no answer. */
async function page(namespace: string, address: string): Promise<string | null> {
  const patience = ["--retry", "5", "--retry-connrefused", "--retry-delay", "1", "--max-time", "3"];
  const curl = RunningProcess.in(namespace, "/usr/bin/curl", ["-sS", ...patience, `http://${address}/`]);
  const { code, stdout } = await curl.finish(40_000);
  return code === 0 ? stdout : null;
}

test("a published port leads in, from outside and from the host, to what the profile lets listen", async () => {
  const stderr = await served(listed, ["--publish", "18080:80"], async () => {
    assert.equal(await page(outside.name, `${node.ipv4}:18080`), "published\n");
    assert.equal(await page(node.name, `${node.ipv4}:18080`), "published\n");
    assert.equal(await page(node.name, "127.0.0.1:18080"), "published\n");
  });
  const [, talks = ""] = stderr.split("Who talked to whom:");
  assert.match(talks, /PROCESS +WHAT +VERDICT +TIMES +REASON/);
  assert.match(talks, new RegExp(`${listed} +← ${outside.ipv4} to port 80/tcp +allowed +1`));
});

test("a program that is not listed gets nothing by it, and a port that is not published leads nowhere", async () => {
  const stranger = fixture.path("stranger/busybox");
  mkdirSync(fixture.path("stranger"));
  writeFileSync(stranger, readFileSync("/bin/busybox"), { mode: 0o755 });
  const stderr = await served(stranger, ["--publish", "18080:80"], async () => {
    assert.equal(await page(outside.name, `${node.ipv4}:18080`), null);
  });
  assert.match(stderr, /BinaryUnknown/);
  await served(listed, [], async () => {
    assert.equal(await page(outside.name, `${node.ipv4}:18080`), null);
  });
});

test("the summary of a program has conversations, and a wrong port is wrong usage", async () => {
  const events = fixture.path("run-events.json");
  await served(listed, ["--publish", "18080:80", "-q", "-o", "json", "--events", events], async () => {
    assert.equal(await page(outside.name, `${node.ipv4}:18080`), "published\n");
  });
  const [summary] = readFileSync(events, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(summary.type, "summary");
  const [talk] = summary.conversations;
  assert.deepEqual(
    { ...talk, times: 1 },
    {
      ...{ process: listed, direction: "ingress", proto: "tcp", verdict: "allowed", reason: "Allowed", times: 1 },
      ...{ peer: { ip: outside.ipv4 }, port: 80 },
    },
  );
  for (const port of ["0", "80:70000", "http", "1:2:3", "80/sctp"]) {
    const args = ["run", "--profile", profiles, "--publish", port, "--", "true"];
    const { code, stderr } = await RunningProcess.in(node.name, PORTCULLIS, args).finish(20_000);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /--publish .*: write PORT, HOSTPORT:PORT or PORT\/udp/);
  }
});
