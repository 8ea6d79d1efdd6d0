import assert from "node:assert/strict";
import { test } from "node:test";
import { type Finding, fieldError, fieldErrorText, fieldText } from "./fields.ts";
import { checkDnsLabel, checkLabelKey, checkLabelValue, isBookkeepingLabel, selectingLabels } from "./labels.ts";
import { nameCovers, normalizeName } from "./names.ts";
import { editDistance, nearest } from "./validation/nearest.ts";

test("fields are written as users write them", () => {
  assert.equal(
    fieldText(["spec", "processes", 0, "network", "egress", "cidr4", 1]),
    "spec.processes[0].network.egress.cidr4[1]",
  );
  assert.equal(fieldText(["metadata", "labels", "example.com/a"]), 'metadata.labels["example.com/a"]');
  assert.equal(fieldText([]), "");
});

test("a finding at a field, as one line", () => {
  const finding: Finding = { code: "PC_YAML", message: "is wrong", remedy: "right it" };
  assert.equal(fieldErrorText(fieldError(["spec", "a"], finding)), "spec.a: is wrong; right it");
  const source = { name: "f", locate: () => ({ line: 2, column: 3 }) };
  assert.deepEqual(fieldError([], finding, source), { field: "", ...finding, line: 2, column: 3 });
});

test("the word that was probably meant", () => {
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(nearest("fqdn", ["cidr4", "fqdns"]), "fqdns");
  assert.equal(nearest("13", ["l3", "l4"]), "l3");
  assert.equal(nearest("something", ["cidr4", "fqdns"]), null);
  assert.equal(nearest("x".repeat(1000), ["x"]), null);
});

test("labels that tools put on everything say nothing of which pods are meant", () => {
  for (const key of [
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
    "kustomize.toolkit.fluxcd.io/name",
    "argocd.argoproj.io/instance",
  ]) {
    assert.ok(isBookkeepingLabel(key), key);
  }
  assert.deepEqual(selectingLabels({ app: "a", "helm.sh/chart": "b", "app.kubernetes.io/name": "c" }), {
    app: "a",
    "app.kubernetes.io/name": "c",
  });
  assert.deepEqual(selectingLabels(undefined), {});
});

test("label syntax", () => {
  for (const key of ["a", "a.b-c_d", "example.com/a", "A".repeat(63)]) assert.equal(checkLabelKey(key), null, key);
  for (const key of ["", "-a", "a/", "/a", "A.com/a", "a/b/c", "A".repeat(64)]) assert.ok(checkLabelKey(key), key);
  for (const value of ["", "a", "1.2-3_4"]) assert.equal(checkLabelValue(value), null, value);
  for (const value of ["-", "a b", "a".repeat(64)]) assert.ok(checkLabelValue(value), value);
  assert.equal(checkDnsLabel("a-1", "container"), null);
  assert.ok(checkDnsLabel("a".repeat(64), "container"));
});

test("what a pattern covers", () => {
  assert.ok(
    nameCovers("*.b.c", "a.b.c") && nameCovers("*", "a") && nameCovers("*.b.c", "*.a.b.c") && nameCovers("a.b", "a.b"),
  );
  assert.ok(!nameCovers("*.b.c", "b.c") && !nameCovers("*.b.c", "ab.c") && !nameCovers("a.b", "c.a.b"));
  assert.equal(normalizeName("A.B."), "a.b");
});
