import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const PORTCULLIS = fileURLToPath(new URL("../../../bin/portcullis", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../../../examples", import.meta.url));
const GOOD =
  "apiVersion: security.datadoghq.com/v1\nkind: SecurityProfile\nmetadata: {name: a, labels: {app: a}}\nspec: {}\n";
const BAD = GOOD.replace("spec: {}", "spec: {actions: [alrt]}");
const WARNED = GOOD.replace(", labels: {app: a}", "");

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-validate-"));
  writeFileSync(join(folder, "good.yaml"), GOOD);
  writeFileSync(join(folder, "warned.yml"), WARNED.replace("name: a", "name: b"));
  writeFileSync(join(folder, "notes.txt"), "not a manifest");
});
after(() => rmSync(folder, { recursive: true }));

/** Runs the command as a user does. */
function run(args: string[], input = "", env: Record<string, string> = {}) {
  const { NO_COLOR: _no, FORCE_COLOR: _force, NODE_TEST_CONTEXT: _test, ...rest } = process.env;
  const result = spawnSync(PORTCULLIS, args, { input, encoding: "utf8", env: { ...rest, ...env } });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

test("valid manifests: one line each, and status 0", () => {
  const { status, stdout } = run(["validate", "-"], GOOD);
  assert.equal(status, 0);
  assert.equal(stdout, "-: default/a: valid\n1 of 1 profile valid\n");
});

test("an error: place, field, message, code and remedy, and status 1", () => {
  const { status, stdout } = run(["validate", "-"], BAD);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^-:4:18: error: spec\.actions\[0\]: "alrt" is not one of .* \[PC_VALUE_UNKNOWN\]\n {4}write "alert"\n/,
  );
});

test("findings come in the order of the file's lines, not of the checks that found them", () => {
  const entry = "{path: /a, network: {\n  ingress: {nothing: 1},\n  egress: {nothing: 1}}}";
  const { stdout } = run(["validate", "-"], GOOD.replace("spec: {}", `spec: {processes: [${entry}]}`));
  const lines = [...stdout.matchAll(/^-:(\d+):/gm)].map(([, line]) => Number(line));
  assert.equal(lines.length, 2, stdout);
  assert.deepEqual(
    lines,
    lines.toSorted((one, other) => one - other),
  );
});

test("a folder: its manifests only, and warnings do not fail", () => {
  const { status, stdout } = run(["validate", folder]);
  assert.equal(status, 0);
  assert.match(stdout, /warning: metadata\.labels: /);
  assert.match(stdout, /2 of 2 profiles valid, 1 warning\n$/);
});

test("--strict fails on warnings", () => {
  assert.equal(run(["validate", "--strict", folder]).status, 1);
  assert.equal(run(["validate", "--strict", "-"], GOOD).status, 0);
});

test("JSON for programs", () => {
  const { status, stdout } = run(["validate", "--output", "json", "-"], `${BAD}---\nkind: Pod\napiVersion: v1\n`);
  assert.equal(status, 1);
  const report = JSON.parse(stdout);
  assert.equal(report.valid, false);
  assert.equal(report.profiles[0].name, "default/a");
  assert.deepEqual(report.profiles[0].errors[0], {
    field: "spec.actions[0]",
    message: '"alrt" is not one of alert, enforce, trace-dns, learn',
    remedy: 'write "alert"',
    code: "PC_VALUE_UNKNOWN",
    line: 4,
    column: 18,
  });
  assert.equal(report.notes[0].code, "PC_OTHER_KIND");
});

test("what cannot be read is an error beside the others", () => {
  const { status, stdout } = run(["validate", join(folder, "absent.yaml"), join(folder, "good.yaml")]);
  assert.equal(status, 2);
  assert.match(stdout, /cannot read .*absent\.yaml.*\[PC_UNREADABLE\]/);
  assert.match(stdout, /1 of 1 profile valid/);
});

test("no profile at all is an error: nothing was checked", () => {
  const { status, stdout } = run(["validate", "-"], "kind: Pod\napiVersion: v1\n");
  assert.equal(status, 2);
  assert.match(stdout, /PC_NO_PROFILES[\s\S]*no profile was checked\n$/);
});

test("wrong usage is status 2, with a hint", () => {
  for (const args of [[], ["validate"], ["validate", "-o", "xml", "-"], ["validat"], ["validate", "--no-such", "-"]]) {
    const { status, stderr } = run(args);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, /help/);
  }
});

test("help and version are status 0, on standard output", () => {
  assert.match(run(["--help"]).stdout, /validate +check SecurityProfile manifests/);
  assert.match(run(["validate", "--help"]).stdout, /Examples:/);
  assert.match(run(["--version"]).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(run(["--help"]).status, 0);
});

test("no colours into a pipe; on request there are", () => {
  const escapeSequence = "\u001b[";
  assert.ok(!run(["validate", "-"], BAD).stdout.includes(escapeSequence));
  assert.ok(run(["validate", "-"], BAD, { FORCE_COLOR: "1" }).stdout.includes(escapeSequence));
  assert.ok(!run(["validate", "-"], BAD, { NO_COLOR: "1" }).stdout.includes(escapeSequence));
});

test("the examples are valid, without a warning", () => {
  assert.equal(run(["validate", "--strict", EXAMPLES]).status, 0);
});

test("pods that a profile selects are named with what they have beyond need, at status 0", () => {
  const deployment = (labels: string, spec: string) =>
    `---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {metadata: {labels: ${labels}}, spec: ${spec}}}\n`;
  const plain = run(["validate", "-"], GOOD + deployment("{app: a}", "{containers: [{name: c}], volumes: }"));
  assert.equal(plain.status, 0);
  assert.match(
    plain.stdout,
    /note: Deployment web, which a selects, has more than it needs\. CAP_NET_RAW: it can read/,
  );
  const context = "{capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}";
  const hardened = deployment("{app: a}", `{containers: [{name: c, securityContext: ${context}}]}`);
  assert.doesNotMatch(run(["validate", "-"], GOOD + hardened).stdout, /more than it needs/);
  assert.doesNotMatch(
    run(["validate", "-"], GOOD + deployment("{app: other}", "{containers: [{}]}")).stdout,
    /more than/,
  );
  // What the API server would not take is nobody's pod.
  assert.equal(run(["validate", "-"], GOOD + deployment("{app: a}", "{containers: {privileged: 7}}")).status, 0);
});

const MISSPELT = `# the web
${GOOD.replace("spec: {}", "spec: {action: [alrt]} # why")}---
kind: Pod
apiVersion: v1   # stays
`;

test("--fix writes what has one mend, says so, and reports on what is left", () => {
  const file = join(folder, "fix.yaml.txt");
  writeFileSync(file, MISSPELT);
  const { status, stdout } = run(["validate", "--fix", file]);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /fix\.yaml\.txt:5:8: mended: spec\.action is not a field of spec\n/);
  assert.match(stdout, /fix\.yaml\.txt:5:18: mended: spec\.actions\[0\] "alrt" is not one of/);
  assert.match(stdout, /default\/a: valid\n1 of 1 profile valid\n$/);
  assert.equal(readFileSync(file, "utf8"), MISSPELT.replace("action: [alrt]", "actions: [alert]"));
  assert.doesNotMatch(run(["validate", "--fix", file]).stdout, /mended/);
  const broken = BAD.replace("alrt", "xyzzy");
  writeFileSync(file, broken);
  assert.equal(run(["validate", "--fix", file]).status, 1);
  assert.equal(readFileSync(file, "utf8"), broken);
});

test("--fix --dry-run writes nothing, and shows a diff that patch(1) takes", () => {
  const file = join(folder, "dry.yaml.txt");
  writeFileSync(file, MISSPELT);
  const { status, stdout } = run(["validate", "--fix", "--dry-run", file]);
  assert.equal(status, 1, "the file is as it was");
  assert.equal(readFileSync(file, "utf8"), MISSPELT);
  assert.match(stdout, /\n-spec: \{action: \[alrt\]\} # why\n\+spec: \{actions: \[alert\]\} # why\n/);
  const diff = stdout.slice(0, stdout.indexOf(`${file}:`));
  const patched = spawnSync("patch", ["-s", "-o", "-", file], { input: diff, encoding: "utf8" });
  if (patched.error === undefined) assert.equal(patched.stdout, MISSPELT.replace("action: [alrt]", "actions: [alert]"));
  const { fixed } = JSON.parse(run(["validate", "--fix", "--dry-run", "-o", "json", file]).stdout);
  assert.deepEqual(
    fixed.map(({ source, mended }: { source: string; mended: unknown[] }) => [source, mended.length]),
    [[file, 2]],
  );
});

test("--fix is for files that can be written; --dry-run is for --fix", () => {
  assert.match(run(["validate", "--fix", "-"], BAD).stderr, /standard input/);
  assert.equal(run(["validate", "--fix", "-"], BAD).status, 2);
  assert.equal(run(["validate", "--dry-run", folder]).status, 2);
  assert.equal(run(["validate", "--fix", join(folder, "none.yaml")]).status, 2);
});
