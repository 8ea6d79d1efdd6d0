/**
 * A shell in which a page's commands are run, one after the other as a reader types them: in a copy of the checkout, with the
 * internet of internet.ts, and with /run, /opt and the BPF file system of its own, so that the machine keeps nothing of it.
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Fixture } from "../e2e/harness/fixture.ts";
import { RunningProcess } from "../e2e/harness/processes.ts";
import { type Fence, ROOT } from "./pages.ts";

/** Of the pages' names, which internet.ts serves. */
const ADDRESSES = { "example.com": "198.51.100.80", "example.org": "198.51.100.81" } as const;
const RESOLVER = "198.51.100.53";
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";
const PAGE_TIMEOUT_MS = 120_000;
const INTERRUPTED_AFTER_S = 5;
/** Of `timeout`, where it had to end the command. */
const STATUS_OF_TIMEOUT = 124;

export const ZONE = Object.fromEntries(Object.entries(ADDRESSES).map(([name, address]) => [name, { a: [address] }]));

/** What became of a fence. `status` is null where the shell ended before. */
export interface Outcome {
  fence: Fence;
  status: number | null;
  output: string;
}

/** Starts the servers of the pages' names. */
export async function startInternet(fixture: Fixture): Promise<void> {
  const { outside } = fixture.topology;
  const addresses = Object.values(ADDRESSES);
  for (const address of addresses) execFileSync("ip", ["-n", outside.name, "address", "add", address, "dev", "lo"]);
  const [key, certificate] = [fixture.path("key.pem"), fixture.path("certificate.pem")];
  const names = "subjectAltName=DNS:example.com,DNS:example.org";
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync(
    "openssl",
    [...request, "-subj", "/CN=example.com", "-addext", names, "-keyout", key, "-out", certificate],
    { stdio: "ignore" },
  );
  writeFileSync(
    fixture.path("trusted.pem"),
    `${readFileSync(CERTIFICATES, "utf8")}\n${readFileSync(certificate, "utf8")}`,
  );
  writeFileSync(fixture.path("resolv.conf"), `nameserver ${RESOLVER}\noptions timeout:1 attempts:2\n`);
  const server = join(import.meta.dirname, "internet.ts");
  const args = ["--disable-warning=ExperimentalWarning", server, key, certificate, ...addresses];
  await fixture.start(outside, process.execPath, args).line("ready");
}

/** Runs the fences of one page. */
export async function runPage(fixture: Fixture, name: string, fences: readonly Fence[]): Promise<Outcome[]> {
  const folder = fixture.path(name);
  mkdirSync(folder, { recursive: true });
  const checkout = join(folder, "portcullis");
  copyCheckout(checkout);
  const outputs = fences.map((_, index) => join(folder, `${index}.out`));
  const script = join(folder, "page.sh");
  writeFileSync(script, scriptOf(fixture, checkout, folder, fences, outputs));
  const command = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", script];
  const shell = RunningProcess.in(fixture.topology.node.name, "unshare", command);
  const { stderr } = await shell.finish(PAGE_TIMEOUT_MS);
  if (stderr !== "") appendFileSync(outputs.findLast(existsSync) ?? join(folder, "0.out"), stderr);
  return fences.map((fence, index) => ({
    fence,
    status: readNumber(join(folder, `${index}.status`)),
    output: existsSync(outputs[index] as string) ? readFileSync(outputs[index] as string, "utf8") : "",
  }));
}

function readNumber(path: string): number | null {
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : null;
}

/** As `git clone`, `make setup` and `make build` leave it, with this checkout's own build. */
function copyCheckout(folder: string): void {
  const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT });
  for (const file of files.toString().split("\0")) {
    if (file === "" || !existsSync(join(ROOT, file))) continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(ROOT, file), join(folder, file));
  }
  for (const link of ["node_modules", "build"]) symlinkSync(join(ROOT, link), join(folder, link));
}

/** Status 0 if it went on until it was ended. */
function interrupted(text: string): string {
  return `timeout --signal=INT ${INTERRUPTED_AFTER_S} ${text.trim()} || test $? = ${STATUS_OF_TIMEOUT}`;
}

function scriptOf(
  fixture: Fixture,
  checkout: string,
  folder: string,
  fences: readonly Fence[],
  outputs: readonly string[],
) {
  const steps = fences.flatMap(({ text, attributes }, index) => [
    `exec >'${outputs[index]}' 2>&1`,
    // A later fence may still write to the output of an earlier one: what was begun in the background does.
    attributes.has("exit") ? "set +e" : "set -e",
    attributes.has("until") ? interrupted(text) : text.trimEnd(),
    `echo $? >'${folder}/${index}.status'`,
  ]);
  const mounts = [
    "mount --make-rslave /",
    "for place in /run /opt; do mount -t tmpfs none $place; done",
    "mount -t bpf none /sys/fs/bpf",
    `mount --bind ${fixture.path("resolv.conf")} "$(readlink -f /etc/resolv.conf)"`,
    `mount --bind ${fixture.path("trusted.pem")} ${CERTIFICATES}`,
  ];
  return [...mounts, `cd ${checkout}`, ...steps, ""].join("\n");
}
