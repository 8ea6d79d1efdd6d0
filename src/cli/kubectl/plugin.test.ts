/** The plugin with a kubectl that answers from a folder. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "pc-kp-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const profile = {
  apiVersion: "security.datadoghq.com/v1",
  kind: "SecurityProfile",
  metadata: { name: "shop", namespace: "web", uid: "1", resourceVersion: "7", labels: { app: "shop" } },
  spec: {
    actions: ["enforce"],
    processes: [{ path: "/bin/shop", network: { egress: { cidr4: ["10.0.0.0/8"], l4: { protocols: ["tcp"] } } } }],
  },
  status: { conditions: [] },
};
const pod = { metadata: { name: "web-0", namespace: "web", labels: { app: "shop" } }, spec: { nodeName: "node-1" } };
const agent = {
  metadata: { name: "agent-x", namespace: "portcullis-system" },
  spec: { nodeName: "node-1" },
  status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
};
/** A `kubectl` that has one pod, one profile, one agent, and these nodes. */
function kubectl(nodes: string[]): string {
  const bin = mkdtempSync(join(folder, "bin-"));
  const answers = join(bin, "answers");
  mkdirSync(answers);
  const list = (items: unknown[]) => JSON.stringify({ items });
  writeFileSync(join(answers, "pod"), JSON.stringify(pod));
  writeFileSync(join(answers, "pods"), list([agent]));
  writeFileSync(join(answers, "securityprofiles"), list([profile]));
  writeFileSync(join(answers, "nodes"), list(nodes.map((name) => ({ metadata: { name } }))));
  const script = `#!/bin/sh
while case $1 in --*) true;; *) false;; esac; do shift; done
case "$1 $*" in
  *--output=wide*) echo "NAME MODE"; echo "shop enforce";;
  get*) cat "${answers}/$2";;
  exec*) echo "exec $*";;
  *) echo "not known: $*" >&2; exit 1;;
esac
`;
  writeFileSync(join(bin, "kubectl"), script, { mode: 0o755 });
  return bin;
}

function plugin(args: string[], nodes = ["node-1"]) {
  const main = join(import.meta.dirname, "main.ts");
  const env = { ...process.env, PATH: `${kubectl(nodes)}:${process.env.PATH}` };
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8", env });
}

test("explain asks the cluster's profiles about a pod", () => {
  const allowed = plugin(["explain", "web-0", "-n", "web", "--", "--process", "/bin/shop", "--to", "10.1.2.3:80/tcp"]);
  assert.equal(allowed.status, 0, allowed.stderr);
  const refused = plugin(["explain", "web-0", "-n", "web", "--", "--process", "/bin/sh", "--to", "10.1.2.3:80/tcp"]);
  assert.equal(refused.status, 1, refused.stderr);
  assert.match(refused.stdout, /BinaryUnknown/);
});

test("status tells of nodes without an agent", () => {
  const good = plugin(["status"]);
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /shop enforce[\s\S]*every node has an agent/);
  const bad = plugin(["status"], ["node-1", "node-2"]);
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /node-2: there is no agent/);
});

test("doctor asks the node's agent", () => {
  assert.match(plugin(["doctor", "node-1"]).stdout, /agent-x --container=agent -- .*main\.ts doctor/);
});

test("what kubectl refuses is told in its own words", () => {
  const { status, stderr } = plugin(["status", "shop"]);
  assert.equal(status, 1);
  assert.match(stderr, /not known: describe securityprofile shop/);
});
