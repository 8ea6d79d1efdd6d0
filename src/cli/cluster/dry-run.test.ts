/** `portcullis operator --dry-run` ends, also where there is no cluster to read. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const home = mkdtempSync(join(tmpdir(), "pc-dry-"));
after(() => rmSync(home, { recursive: true }));
const PORTCULLIS = join(import.meta.dirname, "../../../bin/portcullis");
const KUBECONFIG = `{ apiVersion: v1, kind: Config, current-context: a, contexts: [{ name: a, context: { cluster: a, user: a } }],
  clusters: [{ name: a, cluster: { server: "https://127.0.0.1:1" } }], users: [{ name: a, user: { token: t } }] }`;
const dryRun = (...args: string[]) =>
  spawnSync(PORTCULLIS, ["operator", "--dry-run", ...args], {
    env: { PATH: process.env.PATH, HOME: home },
    encoding: "utf8",
    timeout: 60_000,
  });

test("without a kubeconfig it says what to give", () => {
  const { status, stderr } = dryRun();
  assert.equal(status, 1);
  assert.match(stderr, /^error: no cluster is configured; set KUBECONFIG.* \[PC_KUBE_CONFIG\]\n$/);
});

test("an API server that does not answer is reported, and waited for no longer", () => {
  writeFileSync(join(home, "config"), KUBECONFIG);
  const { status, stderr } = dryRun("--kubeconfig", join(home, "config"));
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^error: .*ECONNREFUSED.* \[PC_(KUBE_UNREACHABLE|PROFILE_THREAD)\]\n/);
});
