/** Helm, built from its Go module at the version that go.mod pins. */
import { spawnSync } from "node:child_process";
import { goBinary } from "../go-binary.ts";

/** Path of helm; null where there is neither a built one nor Go to build it. */
export function helmBinary(): string | null {
  return goBinary(import.meta.dirname, "helm", "helm.sh/helm/v3/cmd/helm");
}

if (import.meta.main) {
  const helm = helmBinary();
  if (helm === null) {
    console.error("helm is built with Go, and there is none: install Go 1.26 or later, from https://go.dev/dl");
    process.exitCode = 1;
  } else {
    process.exitCode = spawnSync(helm, process.argv.slice(2), { stdio: "inherit" }).status ?? 1;
  }
}
