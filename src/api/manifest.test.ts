import assert from "node:assert/strict";
import { test } from "node:test";
import { parseManifests } from "./manifest.ts";
import { isValidSet, readProfileSet, validProfiles } from "./profile-set.ts";

const PROFILE =
  "apiVersion: security.datadoghq.com/v1\nkind: SecurityProfile\nmetadata: {name: a, labels: {app: a}}\nspec: {}\n";

test("several documents; empty ones count for nothing", () => {
  const { manifests, errors, notes } = parseManifests(`---\n${PROFILE}---\n---\n# nothing\n---\n${PROFILE}`, "f.yaml");
  assert.equal(manifests.length, 2);
  assert.deepEqual([...errors, ...notes], []);
});

test("JSON, with tabs", () => {
  const { manifests } = parseManifests(
    '{\n\t"kind": "SecurityProfile",\n\t"spec": {\n\t\t"actions": [\n\t\t\t"alert"\n\t\t]\n\t}\n}\n',
    "f.json",
  );
  assert.deepEqual(
    manifests.map(({ object }) => object),
    [{ kind: "SecurityProfile", spec: { actions: ["alert"] } }],
  );
});

test("lists, as kubectl prints them", () => {
  const list = `kind: List\napiVersion: v1\nitems:\n- kind: SecurityProfile\n  spec: {x: 1}\n- {kind: Pod, apiVersion: v1}\n`;
  const { manifests, notes } = parseManifests(list, "f.yaml");
  assert.deepEqual(manifests[0]?.source.locate(["spec", "x"]), { line: 5, column: 10 });
  assert.deepEqual(
    notes.map(({ code, line }) => [code, line]),
    [["PC_OTHER_KIND", 6]],
  );
});

test("other kinds are skipped with a note; what names no kind, or ours in another group, is not", () => {
  const text =
    "kind: Deployment\napiVersion: apps/v1\n---\nspec: {}\n---\nkind: SecurityProfile\napiVersion: securityprobe.datadoghq.com/v1\n";
  const { manifests, notes } = parseManifests(text, "f.yaml");
  assert.equal(manifests.length, 2);
  assert.equal(notes.length, 1);
});

test("bad YAML is an error with its place, once for each document", () => {
  const { errors } = parseManifests("a: [1\nb: 2\n", "f.yaml");
  assert.deepEqual(
    errors.map(({ code, source, line }) => [code, source, line]),
    [["PC_YAML", "f.yaml", 2]],
  );
  assert.equal(parseManifests("a: 1\na: 2\n", "f.yaml").errors.length, 1);
  assert.equal(parseManifests("a: *b\n", "f.yaml").errors.length, 1);
});

test("a document that is no object is an error", () => {
  assert.deepEqual(
    parseManifests("just text\n", "f.yaml").errors.map(({ code }) => code),
    ["PC_NOT_AN_OBJECT"],
  );
  assert.deepEqual(
    parseManifests("- 1\n", "f.yaml").errors.map(({ code }) => code),
    ["PC_NOT_AN_OBJECT"],
  );
});

test("aliases work, and bombs of them are refused", () => {
  const { manifests } = parseManifests("kind: SecurityProfile\nx: &x [a]\nspec: *x\n", "f.yaml");
  assert.deepEqual(manifests[0]?.object, { kind: "SecurityProfile", x: ["a"], spec: ["a"] });
  const levels = Array.from({ length: 9 }, (_, n) => `l${n + 1}: &l${n + 1} [${Array(9).fill(`*l${n}`).join(",")}]`);
  assert.deepEqual(
    parseManifests(`l0: &l0 [x]\n${levels.join("\n")}\n`, "f.yaml").errors.map(({ code }) => code),
    ["PC_YAML"],
  );
});

test("nesting beyond the stack is an error, not a crash", () => {
  const { manifests, errors } = parseManifests("[".repeat(20_000), "f.yaml");
  assert.equal(manifests.length, 0);
  assert.equal(errors.length, 1);
});

test("findings know line and column; a missing field is placed at what should hold it", () => {
  const text = PROFILE.replace(
    "spec: {}",
    "spec:\n  processes:\n    - network: {}\n      path: bin/app\n    - network: {}",
  );
  const [report] = readProfileSet([{ source: "f.yaml", text }]).reports;
  assert.deepEqual(
    report?.errors.map(({ field, line, column }) => [field, line, column]),
    [
      ["spec.processes[0].path", 7, 7],
      ["spec.processes[1].path", 8, 7],
    ],
  );
});

test("a profile that is there twice is an error of the second one", () => {
  const set = readProfileSet([
    { source: "a.yaml", text: PROFILE },
    { source: "b.yaml", text: PROFILE.replace("name: a", "name: a, namespace: default") },
    { source: "c.yaml", text: PROFILE.replace("name: a", "name: a, namespace: other") },
  ]);
  assert.equal(isValidSet(set), false);
  assert.deepEqual(
    set.reports.map(({ errors }) => errors.map(({ code }) => code)),
    [[], ["PC_PROFILE_DUPLICATE"], []],
  );
  assert.match(set.reports[1]?.errors[0]?.message ?? "", /default\/a is already in a\.yaml/);
  assert.deepEqual(
    validProfiles(set).map(({ metadata }) => metadata.namespace),
    ["default", "other"],
  );
});
