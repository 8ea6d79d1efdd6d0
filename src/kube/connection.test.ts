import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { reviewToken } from "./access/token-review.ts";
import { applyStatus } from "./apply.ts";
import { KubeConnection } from "./connection.ts";
import { collectionPath, objectPath, type ResourceKind, splitKey, TOKEN_REVIEWS } from "./resources.ts";
import { FakeApiServer } from "./testing/fake-api-server.ts";

const THINGS: ResourceKind = { group: "g.io", version: "v1", plural: "things", kind: "Thing", namespaced: true };

let server: FakeApiServer;
let connection: KubeConnection;

before(async () => {
  server = await FakeApiServer.start();
  connection = server.connection();
});
after(() => server.close());

test("paths are as the API has them", () => {
  assert.equal(collectionPath(THINGS), "/apis/g.io/v1/things");
  assert.equal(objectPath(THINGS, "a", "b", "status"), "/apis/g.io/v1/namespaces/a/things/b/status");
  assert.deepEqual(splitKey("a/b"), { namespace: "a", name: "b" });
});

test("what the API server refuses says what, why, and when to come back", async () => {
  server.fail(/things/, 429, 1, 7);
  await assert.rejects(connection.request("GET", collectionPath(THINGS)), {
    code: "PC_KUBE_API",
    status: 429,
    retryAfter: 7000,
    message: /GET \/apis\/g\.io\/v1\/things.*429 TooManyRequests: a fault was asked for/,
  });
});

test("a server that is not there is reported as such", async () => {
  const nobody = KubeConnection.plain("http://127.0.0.1:1");
  await assert.rejects(nobody.request("GET", "/version"), { code: "PC_KUBE_UNREACHABLE", message: /ECONNREFUSED/ });
});

test("status is applied, and an object that is gone is no error", async () => {
  server.put(THINGS, { metadata: { namespace: "a", name: "b" }, spec: { kept: true } });
  const isThere = await applyStatus(connection, THINGS, { namespace: "a", name: "b" }, { ok: 1 }, "tester");
  const stored = server.get(THINGS, "a/b");
  assert.deepEqual([isThere, stored?.spec, stored?.status], [true, { kept: true }, { ok: 1 }]);
  assert.match(server.requests.at(-1) ?? "", /PATCH .*\/status\?fieldManager=tester&force=true/);
  assert.equal(await applyStatus(connection, THINGS, { namespace: "a", name: "c" }, {}, "tester"), false);
});

test("a token counts for its audience only", async () => {
  const review = (status: unknown) => server.answers.set(collectionPath(TOKEN_REVIEWS), () => ({ status }));
  review({
    authenticated: true,
    audiences: ["us"],
    user: { username: "u", uid: "1", groups: ["g"], extra: { k: ["v"] } },
  });
  const user = { username: "u", uid: "1", groups: ["g"], extra: { k: ["v"] } };
  assert.deepEqual(await reviewToken(connection, "t", "us"), user);
  assert.equal(await reviewToken(connection, "t", "others"), null);
  review({ authenticated: false, user: {} });
  assert.equal(await reviewToken(connection, "t", "us"), null);
  review({ authenticated: true, user: { username: "u" } });
  assert.equal(await reviewToken(connection, "t", "us"), null);
});

test("a kubeconfig that is no good is reported by name", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
  const file = join(folder, "config");
  const missing = join(folder, "missing");
  const expected = { code: "PC_KUBE_CONFIG" };
  await assert.rejects(KubeConnection.load({ kubeconfig: missing, version: "1" }), expected);
  writeFileSync(file, "clusters: []\ncontexts: []\nusers: []\n");
  await assert.rejects(KubeConnection.load({ kubeconfig: file, version: "1" }), expected);
  await assert.rejects(KubeConnection.load({ kubeconfig: file, context: "x", version: "1" }), expected);
  rmSync(folder, { recursive: true });
});

test("without a kubeconfig and outside of a pod nothing is configured, and nothing is tried", async () => {
  const { HOME, KUBECONFIG, KUBERNETES_SERVICE_HOST } = process.env;
  process.env.HOME = "/nonexistent";
  for (const name of ["KUBECONFIG", "KUBERNETES_SERVICE_HOST"]) delete process.env[name];
  try {
    const load = KubeConnection.load({ version: "test" });
    await assert.rejects(load, { code: "PC_KUBE_CONFIG", message: /set KUBECONFIG, name a kubeconfig/ });
  } finally {
    Object.assign(process.env, { HOME, ...(KUBECONFIG && { KUBECONFIG }) });
    if (KUBERNETES_SERVICE_HOST) process.env.KUBERNETES_SERVICE_HOST = KUBERNETES_SERVICE_HOST;
  }
});
