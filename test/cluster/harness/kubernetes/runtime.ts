/**
 * The container runtime, without the capabilities that this machine does not have to give: sandboxes in which CI runs may lack some that a node
 * has. What is installed on the cluster is then what would be on any other.
 */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** By number in the kernel's sets. */
const CAPABILITIES: Readonly<Record<string, number>> = {
  CAP_SYS_RESOURCE: 24,
  CAP_DAC_READ_SEARCH: 2,
  CAP_SYSLOG: 34,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
};

/** Writes a program that runs runc so. @returns its path */
export function writeRuntime(folder: string): string {
  const path = join(folder, "runc");
  const expressions = missingCapabilities().flatMap((name) => [
    `-e 's/"${name}",//g'`,
    `-e 's/,"${name}"//g'`,
    `-e 's/"${name}"//g'`,
  ]);
  const edit = expressions.length === 0 ? ":" : `sed -i ${expressions.join(" ")} "$file"`;
  const script = `#!/bin/sh
# A container is described in a bundle, a process that joins it in a file.
previous=
for argument in "$@"; do
  case "$previous" in
    --bundle | -b) file="$argument/config.json" ;;
    --process | -p) file="$argument" ;;
    *) file= ;;
  esac
  previous="$argument"
  if [ -n "$file" ]; then ${edit}; fi
done
exec runc "$@"
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}

function missingCapabilities(): string[] {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const set = BigInt(`0x${bounding}`);
  return Object.entries(CAPABILITIES)
    .filter(([, number]) => (set & (1n << BigInt(number))) === 0n)
    .map(([name]) => name);
}
