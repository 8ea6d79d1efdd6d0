/** The real command of Hubble against the agent's records: every filter, order and format, what comes, what is missing, what is refused. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { until } from "../../src/export/testing/exporting.ts";
import type { AgentEvent, VerdictEvent } from "../../src/flow/record.ts";
import { Records } from "../../src/node-agent/records/records.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { engine } from "./engines.ts";

const hubble = engine("hubble");
const root = mkdtempSync(join(tmpdir(), "pc-hubble-"));
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(root, { recursive: true, force: true });
});

const log: string[] = [];
function started(
  name: string,
  address: string,
  certificates: { certificate: string; key: string; clientCa: string } | null = null,
) {
  const records = new Records({
    ...{ folder: join(root, name), limit: 2 ** 26, socket: join(root, `${name}.sock`), node: "worker-1", exports: [] },
    serve: { address, certificates, version: "1.2.3" },
    log: createLogger({ write: (line) => log.push(line) }),
  });
  closing.push(() => records.end());
  return records;
}

const socket = `unix://${join(root, "hubble.sock")}`;
const records = started("main", socket);
const START = Date.parse("2026-01-01T00:00:00.000Z");

const connection: VerdictEvent = {
  ...{ time: "", type: "verdict", verdict: "allowed", reason: "Allowed", direction: "egress" },
  workload: { name: "web-0", namespace: "shop", labels: { app: "web" }, uid: "u1" },
  profiles: ["shop/web"],
  process: { pid: 7, path: "/usr/bin/curl" },
  proto: "tcp",
  src: { ip: "10.0.0.1", port: 40_000 },
  dst: { ip: "192.0.2.1", port: 443, name: "api.example.com" },
  application: "tls",
  count: 1,
};
const dropped: VerdictEvent = {
  ...connection,
  ...{ verdict: "dropped", reason: "Port", proto: "udp", dst: { ip: "192.0.2.2", port: 9000 } },
};
const alerted: VerdictEvent = {
  ...connection,
  ...{ verdict: "alerted", reason: "Peer", direction: "ingress" },
  workload: { name: "db-0", namespace: "bank", labels: { app: "db" } },
  src: { ip: "2001:db8::9", port: 50_000 },
  dst: { ip: "2001:db8::1", port: 5432 },
};
const question: VerdictEvent = {
  ...connection,
  ...{ type: "dns", proto: "udp", dst: { ip: "10.0.0.53", port: 53 }, application: "dns" },
  dns: { name: "api.example.com", type: "A" },
};
const answer: VerdictEvent = {
  ...question,
  ...{ direction: "ingress", src: question.dst, dst: question.src },
  dns: { name: "api.example.com", type: "A", rcode: "NXDOMAIN" },
};
const ping: VerdictEvent = {
  ...connection,
  proto: "icmp",
  src: { ip: "10.0.0.1" },
  dst: { ip: "192.0.2.3" },
  process: null,
};
/** By the letter that stands for each below. */
const WRITTEN = { c: connection, d: dropped, a: alerted, q: question, n: answer, p: ping };
for (const [index, record] of Object.values(WRITTEN).entries()) {
  records.write({ ...record, time: new Date(START + index * 1000).toISOString() });
}
records.write({ time: new Date(START + 9000).toISOString(), type: "ready", workloads: ["web-0"] });

interface Line {
  flow?: {
    time: string;
    verdict: string;
    drop_reason_desc?: string;
    source?: { namespace?: string; pod_name?: string; labels?: string[] };
    [field: string]: unknown;
  };
  lost_events?: { source: string; num_events_lost: string };
  node_status?: { state_change: string; message: string };
  node_name?: string;
}

function run(...args: string[]): string {
  return execFileSync(hubble, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], env: { HOME: root } });
}

function observed(...args: string[]): Line[] {
  const text = run("observe", "--server", socket, "-o", "json", ...args);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** Which of those that were written it shows. */
function letters(...args: string[]): string {
  const times = observed(...args).flatMap(({ flow }) => (flow === undefined ? [] : [Date.parse(flow.time)]));
  return times.map((time) => Object.keys(WRITTEN)[(time - START) / 1000]).join("");
}

await until(
  "records can be asked for",
  () => {
    try {
      return observed("--all").length;
    } catch {
      return 0;
    }
  },
  (count) => count === 6,
);

test("flows are what was recorded, with the process where Hubble has room for it", () => {
  const [{ flow, node_name: node } = {}] = observed("--first", "1");
  assert.equal(node, "worker-1");
  const { time, verdict, source, destination_names: names, ...rest } = flow ?? { time: "", verdict: "" };
  assert.deepEqual([Date.parse(time), verdict], [START, "FORWARDED"]);
  assert.deepEqual([source?.namespace, source?.pod_name, source?.labels], ["shop", "web-0", ["k8s:app=web"]]);
  assert.deepEqual(names, ["api.example.com"]);
  assert.deepEqual(rest.IP, { source: "10.0.0.1", destination: "192.0.2.1", ipVersion: "IPv4" });
  assert.deepEqual(rest.l4, { TCP: { source_port: 40_000, destination_port: 443 } });
  assert.deepEqual(rest.traffic_direction, "EGRESS");
  assert.deepEqual(rest.egress_allowed_by, [{ name: "web", namespace: "shop", kind: "SecurityProfile" }]);
  assert.match(JSON.stringify(rest.extensions), /"path":"\/usr\/bin\/curl"/);
  assert.equal(statSync(join(root, "hubble.sock")).mode & 0o777, 0o600);
  const [{ flow: refused } = {}] = observed("--verdict", "DROPPED");
  assert.deepEqual([refused?.drop_reason_desc, refused?.egress_denied_by], ["POLICY_DENIED", rest.egress_allowed_by]);
  const [{ flow: asked } = {}] = observed("--protocol", "dns", "--last", "1");
  assert.deepEqual(asked?.l7, { type: "RESPONSE", dns: { query: "api.example.com.", rcode: 3, qtypes: ["A"] } });
});

test("filters, each by itself and together, allowed and denied", () => {
  const cases: [string, string[]][] = [
    ["cdaqnp", ["--all"]],
    ["cd", ["--first", "2"]],
    ["np", ["--last", "2"]],
    ["aq", ["--since", "2026-01-01T00:00:02Z", "--until", "2026-01-01T00:00:03Z"]],
    ["d", ["--verdict", "DROPPED"]],
    ["da", ["--verdict", "DROPPED", "--verdict", "AUDIT"]],
    ["d", ["--drop-reason-desc", "POLICY_DENIED"]],
    ["ca", ["--protocol", "tcp"]],
    ["qn", ["--protocol", "dns"]],
    ["p", ["--protocol", "icmp"]],
    ["cdqnp", ["--pod", "shop/web"]],
    ["cdqp", ["--from-pod", "shop/web-0"]],
    ["an", ["--traffic-direction", "ingress"]],
    ["a", ["--namespace", "bank"]],
    ["a", ["--to-namespace", "bank"]],
    ["a", ["--label", "app=db"]],
    ["c", ["--to-fqdn", "*.example.com"]],
    ["c", ["--to-port", "443"]],
    ["qn", ["--port", "53"]],
    ["c", ["--to-ip", "192.0.2.1"]],
    ["cdp", ["--to-ip", "192.0.2.0/24"]],
    ["a", ["-6"]],
    ["cdqnp", ["-4"]],
    ["d", ["--type", "drop"]],
    ["qn", ["--type", "l7"]],
    ["cdaqnp", ["--node-name", "worker-*"]],
    ["", ["--node-name", "other"]],
    ["caqnp", ["--not", "--verdict", "DROPPED"]],
    ["cp", ["--from-pod", "shop/web", "--not", "--protocol", "udp"]],
    ["d", ["--from-pod", "shop/web", "--to-ip", "192.0.2.2"]],
    ["ad", ["--allowlist", '{"verdict":["AUDIT"]}', "--allowlist", '{"destination_port":["9000"]}']],
    ["ca", ["--denylist", '{"protocol":["udp"]}', "--denylist", '{"protocol":["icmp"]}']],
  ];
  const sorted = (text: string) => [...text].sort().join("");
  for (const [expected, args] of cases) {
    const narrowed = args.some((one) => /^--(all|first|last|since)/.test(one)) ? args : ["--all", ...args];
    assert.equal(sorted(letters(...narrowed)), sorted(expected), args.join(" "));
  }
});

test("every format prints them, and a field mask leaves the rest out", () => {
  for (const format of ["compact", "dict", "table"]) {
    const text = run("observe", "--server", socket, "-o", format, "--all", "--verdict", "DROPPED");
    assert.match(text, /shop\/web-0[\s\S]*192\.0\.2\.2:9000[\s\S]*DROPPED/, format);
  }
  assert.match(
    run("observe", "--server", socket, "--all", "--verdict", "DROPPED"),
    /Policy denied DROPPED \(UDP; \/usr\/bin\/curl\[7\]; Port\)/,
  );
  const mask = ["--experimental-field-mask", "time,source.pod_name,verdict"];
  const [{ flow } = {}] = observed("--all", "--verdict", "DROPPED", ...mask);
  assert.deepEqual(Object.keys(flow ?? {}).sort(), ["source", "time", "verdict"]);
  assert.deepEqual(flow?.source, { pod_name: "web-0" });
});

test("who follows gets what comes, and is told what is lost", async () => {
  const child: ChildProcess = spawn(
    hubble,
    ["observe", "--server", socket, "--follow", "-o", "json", "--protocol", "udp"],
    {
      stdio: ["ignore", "pipe", "ignore"],
      env: { HOME: root },
    },
  );
  closing.push(() => child.kill("SIGKILL"));
  const lines: Line[] = [];
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts.map((line) => JSON.parse(line) as Line));
  });
  const write = (event: AgentEvent) => records.write({ ...event, time: new Date().toISOString() });
  await until(
    "it follows",
    () => {
      write(dropped);
      write(connection);
      return lines.length;
    },
    (count) => count > 2,
  );
  write({ time: "", type: "lost", where: "kernel", kind: "violation", count: 5 });
  await until(
    "it is told",
    () => lines.some((line) => line.lost_events !== undefined),
    (isTold) => isTold,
  );
  assert.ok(lines.every(({ flow }) => flow === undefined || flow.verdict === "DROPPED"));
  assert.deepEqual(lines.find((line) => line.lost_events !== undefined)?.lost_events, {
    source: "PERF_EVENT_RING_BUFFER",
    num_events_lost: "5",
  });
  child.kill("SIGKILL");
  const missing = observed("--all", "--verdict", "AUDIT").find((line) => line.lost_events !== undefined);
  assert.equal(missing?.lost_events?.num_events_lost, "5");
});

test("nodes, namespaces and the status are answered; of events there are none", () => {
  assert.match(run("list", "nodes", "--server", socket), /worker-1 +Connected/);
  assert.match(run("list", "namespaces", "--server", socket), /bank[\s\S]*shop/);
  const status = JSON.parse(run("status", "--server", socket, "-o", "json")) as Record<string, unknown>;
  assert.equal(status.version, "1.2.3");
  assert.ok(Number(status.seen_flows) >= 7);
  assert.equal(run("observe", "agent-events", "--server", socket), "");
});

test("a filter of what records do not have is refused by its name", () => {
  for (const [args, message] of [
    [["--http-status", "200"], /the filter http_status_code cannot be answered/],
    [["--to-service", "shop/x"], /the filter destination_service cannot be answered/],
    [["--to-port", "70000"], /70000/],
  ] as const) {
    assert.throws(() => observed("--all", ...args), { message }, args.join(" "));
  }
});

test("by an address that others reach, only whoever shows a certificate is answered", async () => {
  const file = (name: string) => join(root, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", file("ca.key"), "-out", file("ca.crt"), "-subj", "/CN=ca", "-days", "1");
  for (const name of ["server", "client"]) {
    openssl(
      "req",
      ...key,
      "-keyout",
      file(`${name}.key`),
      "-out",
      file(`${name}.csr`),
      "-subj",
      `/CN=${name}`,
      "-addext",
      "subjectAltName=DNS:node.test",
    );
    const signed = ["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-CAcreateserial", "-copy_extensions", "copy"];
    openssl("x509", "-req", "-in", file(`${name}.csr`), ...signed, "-out", file(`${name}.crt`), "-days", "1");
  }
  const read = (name: string) => readFileSync(file(name), "utf8");
  const free = createServer().listen(0, "127.0.0.1");
  await new Promise((settle) => free.once("listening", settle));
  const port = (free.address() as { port: number }).port;
  free.close();
  const certificates = { certificate: read("server.crt"), key: read("server.key"), clientCa: read("ca.crt") };
  started("tls", `127.0.0.1:${port}`, certificates);
  const server = [
    "--server",
    `127.0.0.1:${port}`,
    "--tls",
    "--tls-server-name",
    "node.test",
    "--tls-ca-cert-files",
    file("ca.crt"),
  ];
  const client = ["--tls-client-cert-file", file("client.crt"), "--tls-client-key-file", file("client.key")];
  const isAnswered = (...args: string[]) => {
    try {
      return run("list", "nodes", ...args).includes("worker-1");
    } catch {
      return false;
    }
  };
  await until(
    "with a certificate",
    () => isAnswered(...server, ...client),
    (yes) => yes,
  );
  assert.equal(isAnswered(...server), false, "without one");
  assert.equal(isAnswered("--server", `127.0.0.1:${port}`), false, "without TLS");
});
