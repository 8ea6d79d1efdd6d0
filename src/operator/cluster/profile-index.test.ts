import assert from "node:assert/strict";
import { test } from "node:test";
import { profileObject, storedProfile } from "../testing/stored-profile.ts";
import { ProfileIndex } from "./profile-index.ts";

const WEB = { namespace: "shop", labels: { app: "web", tier: "front" } };
const profile = (spec: object, metadata: object = {}) => storedProfile(profileObject(spec, metadata));

test("profiles are found by their labels, by expressions, and in their own namespace only", () => {
  const index = new ProfileIndex();
  index.set("shop/web", profile({}));
  const expression = { matchExpressions: [{ key: "tier", operator: "Exists" }] };
  index.set("shop/tier", profile({ labelSelector: expression }, { name: "tier" }));
  assert.deepEqual(index.selecting(WEB), ["shop/tier", "shop/web"]);
  assert.deepEqual(index.selecting({ ...WEB, namespace: "other" }), []);
  const elsewhere = profile({ labelSelector: { matchLabels: { app: "db" } } }, { generation: 2 });
  assert.equal(index.set("shop/web", elsewhere).selectorChanged, true);
  assert.deepEqual(index.selecting(WEB), ["shop/tier"]);
  index.set("shop/tier", null);
  assert.deepEqual(index.selecting(WEB), []);
});

test("a profile that is not valid, and may have been, puts the pods that it may mean in doubt", () => {
  const index = new ProfileIndex();
  index.set("shop/web", profile({ actions: ["nonsense"] }, { generation: 2 }));
  assert.equal(index.isInDoubt(WEB), true);
  assert.equal(index.isInDoubt({ namespace: "shop", labels: { app: "db" } }), false);
  index.set("shop/web", profile({ labelSelector: 7 }, { generation: 3 }));
  assert.equal(index.isInDoubt(WEB), true);
  index.set("shop/web", profile({}, { generation: 4 }));
  assert.equal(index.isInDoubt(WEB), false);
});
