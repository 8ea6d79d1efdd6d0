/** Kubernetes' own programs, built once for each version of test/cluster/tools/go.sum and kept in the user's cache. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { findGo } from "../../../../tools/go-binary.ts";

const TOOLS = join(import.meta.dirname, "../../tools");
const PROGRAMS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet"] as const;

/** What the distribution has to have installed, besides. */
const COMMANDS = ["etcd", "containerd", "ctr", "runc", "openssl", "nft", "ip", "nsenter", "unshare"];
const CNI_BRIDGE = "/usr/lib/cni/bridge";

export type Program = (typeof PROGRAMS)[number];

/** Folder of the programs; builds them if they are not there. @throws Error where something is missing, or does not build */
export function kubernetesPrograms(progress: (line: string) => void): string {
  refuseWithout(COMMANDS.filter((name) => spawnSync("which", [name]).status !== 0));
  refuseWithout(existsSync(CNI_BRIDGE) ? [] : [CNI_BRIDGE]);
  const folder = join(homedir(), ".cache/portcullis/kubernetes", toolsHash());
  if (PROGRAMS.every((name) => existsSync(join(folder, name)))) return folder;
  const go = findGo();
  if (go === null) throw new Error(noGo());
  const version = /k8s\.io\/kubernetes v(\S+)/.exec(readFileSync(join(TOOLS, "go.mod"), "utf8"))?.[1];
  progress(`building Kubernetes ${version} (minutes, and once: kept in ${folder})`);
  build(go, `${folder}.making`, version ?? "0.0.0");
  renameSync(`${folder}.making`, folder);
  return folder;
}

function noGo(): string {
  const needed = /^go (\S+)/m.exec(readFileSync(join(TOOLS, "go.mod"), "utf8"))?.[1];
  return `building Kubernetes needs Go ${needed} or later, which Debian 12 does not have: unpack it from https://go.dev/dl to /usr/local/go`;
}

function build(go: string, folder: string, version: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const flags = `-s -w -X k8s.io/component-base/version.gitVersion=v${version}`;
  // Two at a time: a compilation of these takes a gigabyte.
  const args = [go, "build", "-mod=readonly", "-trimpath", "-p=2", "-ldflags", flags, "-o", `${folder}/`, "tool"];
  const { status } = spawnSync("nice", args, {
    cwd: TOOLS,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false" },
  });
  if (status !== 0) throw new Error("Kubernetes could not be built; see above");
}

function toolsHash(): string {
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(TOOLS, file)));
  return hash.digest("hex").slice(0, 16);
}

function refuseWithout(missing: readonly string[]): void {
  if (missing.length > 0) throw new Error(`the cluster needs ${missing.join(", ")}; run it as: make test-cluster`);
}
