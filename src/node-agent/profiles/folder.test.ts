import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { UnreadableError } from "../../api/errors.ts";
import { SILENT } from "../enforce/testing/workloads.ts";
import { listManifests, ProfileFolder } from "./folder.ts";
import type { ProfileRevision } from "./source.ts";

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pc-profiles-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function manifest(name: string, actions = "[enforce]"): string {
  return [
    "apiVersion: security.datadoghq.com/v1",
    "kind: SecurityProfile",
    `metadata: {name: ${name}, labels: {app: ${name}}}`,
    `spec: {actions: ${actions}, processes: [{path: /bin/${name}}]}`,
  ].join("\n");
}

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const names = ({ profiles }: ProfileRevision) => profiles.map(({ metadata }) => metadata.name);

/** Revisions that the folder tells of while something is done to it. */
async function revisionsOf(change: () => void | Promise<void>): Promise<ProfileRevision[]> {
  const source = new ProfileFolder(folder, SILENT);
  const revisions: ProfileRevision[] = [];
  source.subscribe((revision) => revisions.push(revision));
  try {
    await change();
    for (let waited = 0; revisions.length === 0 && waited < 3000; waited += 20) await sleep(20);
    await sleep(150);
    return revisions;
  } finally {
    source.close();
  }
}

test("manifests are the .yaml, .yml and .json files; what editors leave beside them is not", () => {
  for (const name of ["b.yml", "a.yaml", "c.json", ".a.yaml.swp", ".hidden.yaml", "a.yaml~", "#a.yaml", "notes.txt"]) {
    write(name, "");
  }
  mkdirSync(join(folder, "sub.d"));
  assert.deepEqual(
    listManifests(folder).map((path) => path.slice(folder.length + 1)),
    ["a.yaml", "b.yml", "c.json"],
  );
});

test("a folder that is not there is an error at the start", () => {
  assert.throws(() => new ProfileFolder(join(folder, "absent"), SILENT), UnreadableError);
});

test("files that are written one after the other are one revision", async () => {
  write("a.yaml", manifest("a"));
  const revisions = await revisionsOf(async () => {
    write("b.yaml", manifest("b"));
    await sleep(30);
    write("c.yaml", manifest("c"));
  });
  assert.deepEqual(revisions.map(names), [["a", "b", "c"]]);
});

test("one invalid file refuses the whole revision, and says where", async () => {
  write("a.yaml", manifest("a"));
  const [revision, ...others] = await revisionsOf(() => write("b.yaml", manifest("b", "[enfroce]")));
  assert.deepEqual(revision?.profiles, []);
  assert.deepEqual(
    revision?.errors.map(({ source, field }) => [source, field]),
    [[`${join(folder, "b.yaml")}:4`, "spec.actions[0]"]],
  );
  assert.equal(others.length, 0);
});

test("a file that is replaced by renaming, as editors and kubelet do, is seen", async () => {
  write("a.yaml", manifest("a"));
  const revisions = await revisionsOf(() => {
    write(".a.yaml.new", manifest("z"));
    renameSync(join(folder, ".a.yaml.new"), join(folder, "a.yaml"));
  });
  assert.deepEqual(revisions.map(names), [["z"]]);
});

test("a mounted ConfigMap, whose files are links that change their target, is seen", async () => {
  for (const [version, name] of [
    ["v1", "a"],
    ["v2", "b"],
  ] as const) {
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, "p.yaml"), manifest(name));
  }
  symlinkSync("v1", join(folder, "..data"));
  symlinkSync("..data/p.yaml", join(folder, "p.yaml"));
  const revisions = await revisionsOf(() => {
    symlinkSync("v2", join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  });
  assert.deepEqual(revisions.map(names), [["b"]]);
});

test("what is no readable file refuses the revision, names the file, and makes nobody wait", async () => {
  write("a.yaml", manifest("a"));
  const others: [string, (path: string) => void, RegExp][] = [
    ["fifo", (path) => execFileSync("mkfifo", [path]), /b\.yaml: it is a FIFO, not a file/],
    ["device", (path) => execFileSync("mknod", [path, "c", "1", "5"]), /b\.yaml: it is a device, not a file/],
    ["socket", listenAt, /b\.yaml: it is a socket, not a file/],
    ["folder", (path) => mkdirSync(path), /b\.yaml: it is a folder, not a file/],
    ["dangling link", (path) => symlinkSync("nowhere", path), /b\.yaml: no such file or directory \(ENOENT\)/],
    ["link loop", (path) => symlinkSync("b.yaml", path), /b\.yaml: .*\(ELOOP\)/],
    ["link to a device", (path) => symlinkSync("/dev/zero", path), /b\.yaml: it is a device, not a file/],
    [
      "huge file",
      (path) => {
        writeFileSync(path, "");
        truncateSync(path, 2 ** 40);
      },
      /b\.yaml: it is larger than 32 MiB/,
    ],
  ];
  for (const [what, make, message] of others) {
    const [refused] = await revisionsOf(() => make(join(folder, "b.yaml")));
    assert.deepEqual(refused?.profiles, [], what);
    assert.match(refused?.errors.map((error) => error.message).join() ?? "", message);
    rmSync(join(folder, "b.yaml"), { recursive: true });
  }
});

test("a start with such a file beside others is no failure, and puts nothing in force", () => {
  write("a.yaml", manifest("a"));
  execFileSync("mkfifo", [join(folder, "b.yaml")]);
  const source = new ProfileFolder(folder, SILENT);
  assert.deepEqual(source.current().profiles, []);
  assert.match(source.current().errors[0]?.message ?? "", /FIFO/);
  source.close();
});

test("an empty folder restricts nothing, and is warned of", () => {
  const source = new ProfileFolder(folder, SILENT);
  assert.deepEqual([source.current().profiles, source.current().errors], [[], []]);
  const [{ source: named, message = "" } = {}] = source.current().warnings;
  assert.equal(named, folder);
  assert.ok(message.startsWith(`there is no SecurityProfile in ${folder}: no workload is restricted`), message);
  source.close();
});

/** Leaves a socket's name behind. */
function listenAt(path: string): void {
  execFileSync("/usr/bin/python3", ["-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path]);
}

test("what does not change the content is no revision", async () => {
  write("a.yaml", manifest("a"));
  assert.deepEqual(await revisionsOf(() => write("notes.txt", "hello")), []);
});
