import assert from "node:assert/strict";
import { test } from "node:test";
import type { LabelSelectorRequirement } from "../../api/types.ts";
import { profileOf } from "../testing/profiles.ts";
import { effectiveSelector, matchesSelector, selectProfiles, selects } from "./selection.ts";

const web = { namespace: "default", labels: { app: "web", tier: "front" } };

test("a profile without a selector selects by its own labels", () => {
  assert.equal(selects(profileOf("web", {}), web).selected, true);
  const { selected, reason } = selects(profileOf("db", {}), web);
  assert.equal(selected, false);
  assert.equal(reason, "label app is web, not db");
});

test("bookkeeping labels do not select", () => {
  const profile = profileOf("web", {});
  profile.metadata.labels = { "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-1", app: "web" };
  assert.deepEqual(effectiveSelector(profile), { matchLabels: { app: "web" } });
});

test("a profile without a usable label selects nothing, and says so", () => {
  for (const labels of [undefined, {}, { "helm.sh/chart": "web-1" }]) {
    const profile = profileOf("web", {});
    delete profile.metadata.labels;
    if (labels) profile.metadata.labels = labels;
    const { selected, reason } = selects(profile, web);
    assert.equal(selected, false);
    assert.match(reason, /no usable label/);
  }
});

test("an empty selector selects nothing, never every pod", () => {
  assert.equal(selects(profileOf("web", { labelSelector: {} }), web).selected, false);
  assert.equal(selects(profileOf("web", { labelSelector: { matchLabels: {} } }), web).selected, false);
});

test("a selector takes the place of the profile's own labels", () => {
  const profile = profileOf("other", { labelSelector: { matchLabels: { tier: "front" } } });
  assert.deepEqual(selects(profile, web), { selected: true, reason: "labels match tier=front" });
});

test("a profile selects in its own namespace only; without one, in default", () => {
  const profile = profileOf("web", {});
  assert.equal(selects(profile, { ...web, namespace: "prod" }).selected, false);
  delete profile.metadata.namespace;
  assert.equal(selects(profile, web).selected, true);
});

test("matchExpressions mean what they mean in Kubernetes", () => {
  const labels = { tier: "front" };
  const cases: [LabelSelectorRequirement, boolean][] = [
    [{ key: "tier", operator: "In", values: ["front", "back"] }, true],
    [{ key: "tier", operator: "In", values: ["back"] }, false],
    [{ key: "zone", operator: "In", values: ["a"] }, false],
    [{ key: "tier", operator: "NotIn", values: ["front"] }, false],
    [{ key: "zone", operator: "NotIn", values: ["a"] }, true],
    [{ key: "tier", operator: "Exists" }, true],
    [{ key: "zone", operator: "Exists" }, false],
    [{ key: "zone", operator: "DoesNotExist" }, true],
    [{ key: "tier", operator: "DoesNotExist" }, false],
  ];
  for (const [requirement, expected] of cases) {
    assert.equal(matchesSelector({ matchExpressions: [requirement] }, labels), expected, JSON.stringify(requirement));
  }
});

test("all terms of a selector must hold, and no label is inherited from Object", () => {
  const both = { matchLabels: { app: "web" }, matchExpressions: [{ key: "tier", operator: "Exists" as const }] };
  assert.equal(matchesSelector(both, { app: "web" }), false);
  assert.equal(matchesSelector(both, web.labels), true);
  assert.equal(matchesSelector({ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, {}), false);
});

test("several profiles may select one workload", () => {
  const profiles = [
    profileOf("web", {}),
    profileOf("db", {}),
    profileOf("x", { labelSelector: { matchLabels: { tier: "front" } } }),
  ];
  assert.deepEqual(
    selectProfiles(profiles, web).map((profile) => profile.metadata.name),
    ["web", "x"],
  );
});
