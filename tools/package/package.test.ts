/** What is shipped works where it is put: `make install`, completions of shells, manual pages, the npm package. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { SHELLS } from "../../src/cli/completion/completion.ts";
import { PROJECT } from "./project.ts";

const destination = mkdtempSync(join(tmpdir(), "pc-install-"));
const root = join(destination, "opt/pc");
after(() => rmSync(destination, { recursive: true, force: true }));

/** A command as installed, by its link, on a machine without Node. */
function installed(...args: string[]) {
  return spawnSync(join(root, "bin/portcullis"), args, { encoding: "utf8", env: { PATH: "/usr/bin:/bin" }, cwd: "/" });
}

before(() => {
  execFileSync(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    ...[join(PROJECT, "tools/install.ts"), "/opt/pc", destination],
  ]);
});

test("what is installed runs from its prefix, and has no tests in it", () => {
  const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as { version: string };
  assert.match(installed("version").stdout, new RegExp(`^portcullis ${version} \\(Node\\.js 24`));
  assert.equal(installed("--version").stdout, `${version}\n`);
  assert.equal(installed("validate", join(PROJECT, "examples/ping.yaml")).status, 0);
  assert.ok(lstatSync(join(root, "bin/kubectl-portcullis")).isSymbolicLink());
  assert.ok(existsSync(join(root, "lib/portcullis/build/bpf/classifier.bpf.o")));
  const files = readdirSync(join(root, "lib/portcullis/src"), { recursive: true, encoding: "utf8" });
  assert.deepEqual(
    files.filter((file) => /\.test\.ts$|testdata|testing|snapshots/.test(file)),
    [],
  );
});

test("doctor loads its BPF programs from there", () => {
  const { stdout, stderr } = installed("doctor", "--output", "json");
  assert.ok(Array.isArray((JSON.parse(stdout) as { features: unknown }).features), stderr);
});

test("there is a manual page for each command, with its options, examples and exit statuses", () => {
  const pages = readdirSync(join(root, "share/man/man1"));
  const list = installed("--help").stdout.split("Commands:\n")[1]?.split("\n\n")[0] ?? "";
  const commands = [...list.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name).filter((name) => name !== "help");
  assert.ok(commands.length > 8);
  assert.deepEqual(pages.toSorted(), ["portcullis.1", ...commands.map((name) => `portcullis-${name}.1`)].toSorted());
  const run = readFileSync(join(root, "share/man/man1/portcullis-run.1"), "utf8");
  assert.match(run, /^\.TH PORTCULLIS-RUN 1 /);
  for (const words of ["\\\\-\\\\-profile <", "^\\.SH EXAMPLES$", "^\\.SH EXIT STATUS$", " 125 "]) {
    assert.match(run, new RegExp(words, "m"));
  }
  assert.doesNotMatch(run, /^\.(?!TH|SH|TP|B|BR|PP|nf|fi)/m, "no text is taken for a request");
});

/** What bash has after the Tab key. */
function completed(line: string): string[] {
  const words = line.split(" ");
  const script = `PATH=${join(root, "bin")}:$PATH
    source ${join(root, "share/bash-completion/completions/portcullis")}
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
    compopt() { :; }
    _portcullis; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", script], { encoding: "utf8", cwd: PROJECT }).trim().split("\n");
}

test("bash completes commands, options, their values, and files", () => {
  assert.deepEqual(completed("portcullis val"), ["validate"]);
  assert.deepEqual(completed("portcullis status --out"), ["--output"]);
  assert.deepEqual(completed("portcullis status --output "), ["text", "json"]);
  assert.deepEqual(completed("portcullis status --output=j"), ["--output=json"]);
  assert.deepEqual(completed("portcullis completion "), [...SHELLS]);
  assert.deepEqual(completed("portcullis validate examples/ping.y"), ["examples/ping.yaml"]);
  assert.deepEqual(completed("portcullis run --profile examples/po"), ["examples/pong.yaml"]);
  assert.deepEqual(completed("portcullis status no-argu"), [""]);
});

test("the script of each shell is one that the shell can read", () => {
  for (const shell of SHELLS) {
    const { stdout, status } = installed("completion", shell);
    assert.equal(status, 0);
    const isThere = spawnSync("sh", ["-c", `command -v ${shell}`]).status === 0;
    if (isThere) assert.equal(spawnSync(shell, ["-n"], { input: stdout }).status, 0, shell);
    assert.match(stdout, /__complete/);
  }
  assert.equal(installed("completion", "tcsh").status, 2);
});

test("kubectl's completion gets the plugin's words, as kubectl reads them", () => {
  const complete = (...words: string[]) =>
    spawnSync(join(root, "bin/kubectl_complete-portcullis"), words, {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin" },
    });
  assert.match(complete("obs").stdout, /^observe\t.*\n:4\n$/);
  assert.match(complete("observe", "--direction", "").stdout, /^egress\ningress\n:4\n$/);
  assert.match(complete("validate", "").stdout, /^:0\n$/);
});

test("names of pods, profiles and nodes are the cluster's, in the namespace that is typed", () => {
  const bin = mkdtempSync(join(tmpdir(), "pc-kubectl-"));
  try {
    const names =
      '#!/bin/sh\n[ "$2" = pods ] || exit 1\ncase "$*" in *"-n shop"*) echo pod/web-0; echo pod/web-1;; esac\n';
    writeFileSync(join(bin, "kubectl"), names, { mode: 0o755 });
    const complete = (...words: string[]) =>
      spawnSync(join(root, "bin/kubectl_complete-portcullis"), words, {
        encoding: "utf8",
        env: { PATH: `${bin}:/usr/bin:/bin` },
      }).stdout;
    assert.equal(complete("observe", "-n", "shop", "web"), "web-0\nweb-1\n:4\n");
    assert.equal(complete("observe", "-n", "shop", "web-1"), "web-1\n:4\n");
    assert.equal(complete("doctor", ""), ":4\n", "a cluster that cannot be asked has no names");
  } finally {
    rmSync(bin, { recursive: true });
  }
});

test("the npm package has commands, sources and BPF objects, and nothing that only tests need", () => {
  const json = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    encoding: "utf8",
    cwd: PROJECT,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ files } = { files: [] }] = JSON.parse(json) as { files: { path: string }[] }[];
  const paths = files.map(({ path }) => path);
  const needed = ["bin/portcullis", "bin/kubectl_complete-portcullis", "src/cli/main.ts", "build/bpf/classifier.bpf.o"];
  for (const path of [...needed, "LICENSE", "package.json"]) assert.ok(paths.includes(path), path);
  assert.deepEqual(
    paths.filter((path) => !/^(bin|src|crds|LICENSES?|build\/bpf|package\.json|README\.md)/.test(path)),
    [],
  );
  assert.deepEqual(
    paths.filter((path) => /\.test\.ts$|testing\/|testdata|snapshots|noop/.test(path)),
    [],
  );
});

test("the npm package runs where npm puts it, with the dependencies that it names", () => {
  const folder = mkdtempSync(join(tmpdir(), "pc-npm-"));
  try {
    execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: PROJECT });
    const modules = join(folder, "lib/node_modules");
    mkdirSync(modules, { recursive: true });
    const [archive = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
    execFileSync("tar", ["-xzf", join(folder, archive), "-C", modules]);
    const home = join(modules, "portcullis");
    renameSync(join(modules, "package"), home);
    const { dependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) {
      mkdirSync(dirname(join(modules, name)), { recursive: true });
      symlinkSync(join(PROJECT, "node_modules", name), join(modules, name));
    }
    const packaged = (program: string, ...args: string[]) =>
      spawnSync(join(home, "bin", program), args, {
        encoding: "utf8",
        env: { PATH: `${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin` },
      });
    assert.match(packaged("portcullis", "version").stdout, /^portcullis \d/);
    assert.equal(packaged("portcullis", "validate", join(PROJECT, "examples/ping.yaml")).status, 0);
    assert.equal(packaged("portcullis", "test", join(PROJECT, "examples/tests")).status, 0);
    assert.match(packaged("kubectl-portcullis", "--help").stdout, /observe/);
    assert.match(packaged("kubectl_complete-portcullis", "obs").stdout, /^observe\t/);
    // With BPF objects, and with the agent's helper, which is a process of its own.
    const run = packaged("portcullis", "run", "-q", "--profile", join(PROJECT, "examples/curl.yaml"), "--", "true");
    assert.equal(run.status, 0, run.stderr);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
