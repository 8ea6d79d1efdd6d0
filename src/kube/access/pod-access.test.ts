import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, mock, test } from "node:test";
import { PodAccess } from "./pod-access.ts";

let folder = "";

before(() => {
  folder = mkdtempSync(join(tmpdir(), "pod-access-"));
  writeFileSync(join(folder, "token"), "first\n");
  writeFileSync(join(folder, "ca.crt"), "authority\n");
});
after(() => rmSync(folder, { recursive: true }));

test("a pod finds the API server, and is let in by its service account", async () => {
  const access = PodAccess.find({ host: "10.96.0.1", port: "443", folder });
  assert.equal(access?.server, "https://10.96.0.1:443");
  assert.deepEqual(await access?.settings(), { ca: "authority", headers: { authorization: "Bearer first" } });
  assert.equal(PodAccess.find({ host: "fd00::1", port: "443", folder })?.server, "https://[fd00::1]:443");
});

test("what is no pod, or has no service account, has no such access", () => {
  assert.equal(PodAccess.find({ folder }), null);
  assert.equal(PodAccess.find({ host: "10.96.0.1", port: "443", folder: join(folder, "other") }), null);
});

test("a token that was replaced is taken up within a minute or so", async () => {
  const access = PodAccess.find({ host: "10.96.0.1", port: "443", folder });
  await access?.settings();
  writeFileSync(join(folder, "token"), "second\n");
  assert.deepEqual((await access?.settings())?.headers, { authorization: "Bearer first" });
  const now = performance.now();
  const clock = mock.method(performance, "now", () => now + 61_000);
  assert.deepEqual((await access?.settings())?.headers, { authorization: "Bearer second" });
  clock.mock.restore();
});

test("a connection that needs no kubeconfig goes without the Kubernetes client, which takes tens of megabytes", () => {
  const program = `
    import { registerHooks } from "node:module";
    registerHooks({
      resolve: (name, context, next) => {
        if (name === "@kubernetes/client-node") throw new Error("the client is loaded");
        return next(name, context);
      },
    });
    const { KubeConnection } = await import(${JSON.stringify(join(import.meta.dirname, "../connection.ts"))});
    KubeConnection.plain("http://127.0.0.1:1");
    // What does need the client shows that the hook works.
    const load = KubeConnection.load({ kubeconfig: "/missing", version: "1" });
    await load.catch((error) => console.log(error.message));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.equal(stdout, "the client is loaded\n", stderr);
});
