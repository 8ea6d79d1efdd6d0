/** What a release gives to krew: the manifest as krew checks it, and an archive that works where it is unpacked. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { parse } from "yaml";
import { writePluginArchive } from "./archive.ts";

const PROJECT = join(import.meta.dirname, "../..");
const TAG = "v1.2.3";
const DIGEST = "a".repeat(64);

const folder = mkdtempSync(join(tmpdir(), "pc-krew-"));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Platform {
  uri: string;
  sha256: string;
  bin: string;
  selector: { matchExpressions: { key: string; operator: string; values: string[] }[] };
}

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: { version: string; shortDescription: string; platforms: Platform[] };
}

/** As krew-release-bot fills it in: addURIAndSha gives two lines, the second indented by four. */
function rendered(): Manifest {
  const template = readFileSync(join(PROJECT, ".krew.yaml"), "utf8");
  const text = template
    .replace(
      /\{\{\s*addURIAndSha "([^"]*)" \.TagName\s*\}\}/g,
      (_, uri: string) => `uri: ${uri}\n    sha256: ${DIGEST}`,
    )
    .replaceAll(/\{\{\s*\.TagName\s*\}\}/g, TAG);
  assert.doesNotMatch(text, /\{\{/, "a part of the template that is not known here");
  return parse(text) as Manifest;
}

/** Fields of krew's types; what is not known there is passed over without a word. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  manifest: ["apiVersion", "kind", "metadata", "spec"],
  spec: ["version", "shortDescription", "description", "caveats", "homepage", "platforms"],
  platform: ["uri", "sha256", "selector", "files", "license", "bin"],
};

function hasOnly(what: string, value: object): void {
  const unknown = Object.keys(value).filter((name) => !FIELDS[what]?.includes(name));
  assert.deepEqual(unknown, [], `fields of a ${what}`);
}

test("the manifest is one that krew takes", () => {
  const manifest = rendered();
  hasOnly("manifest", manifest);
  hasOnly("spec", manifest.spec);
  assert.equal(manifest.apiVersion, "krew.googlecontainertools.github.com/v1alpha2");
  assert.equal(manifest.kind, "Plugin");
  assert.match(manifest.metadata.name, /^[\w-]+$/);
  assert.match(manifest.spec.version, /^v\d+\.\d+\.\d+$/);
  assert.match(manifest.spec.shortDescription, /^.{1,50}$/, "one line, short");
  assert.ok(manifest.spec.platforms.length > 0);
  for (const platform of manifest.spec.platforms) {
    hasOnly("platform", platform);
    assert.match(platform.sha256, /^[a-f0-9]{64}$/);
    assert.equal(new URL(platform.uri).pathname.endsWith(`/${TAG}/kubectl-portcullis.tar.gz`), true, platform.uri);
    const expressions = platform.selector.matchExpressions;
    assert.ok(expressions.length > 0);
    for (const { key, operator, values } of expressions) {
      assert.ok(["os", "arch"].includes(key), key);
      assert.equal(operator, "In");
      assert.ok(values.length > 0);
    }
  }
});

test("the archive has what the manifest says, and works under the link that krew makes", () => {
  const archive = join(folder, "plugin.tar.gz");
  writePluginArchive(archive);
  const [platform] = rendered().spec.platforms;
  assert.ok(platform);
  const store = join(folder, "store");
  mkdirSync(store);
  execFileSync("tar", ["-xzf", archive, "-C", store]);
  for (const name of [platform.bin, "bin/kubectl_complete-portcullis", "LICENSE"])
    assert.ok(existsSync(join(store, name)), name);
  const link = join(folder, "bin/kubectl-portcullis");
  mkdirSync(dirname(link));
  symlinkSync(join(store, platform.bin), link);
  const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
  const run = (...args: string[]) => spawnSync(link, args, { encoding: "utf8", env, cwd: folder });
  const help = run("--help");
  assert.equal(help.status, 0, help.stderr);
  for (const command of ["status", "explain", "validate", "observe", "doctor"]) {
    assert.equal(run(command, "--help").status, 0, command);
  }
  const valid = run("validate", join(PROJECT, "examples/ping.yaml"));
  assert.equal(valid.status, 0, valid.stdout + valid.stderr);
  assert.match(run("--version").stdout, /^\d+\.\d+\.\d+/);
});

test("the same sources give the same bytes", () => {
  const files = ["one", "two"].map((name) => join(folder, name));
  for (const file of files) writePluginArchive(file);
  const [one, two] = files.map((file) => readFileSync(file));
  assert.ok(one?.equals(two ?? Buffer.alloc(0)));
});
