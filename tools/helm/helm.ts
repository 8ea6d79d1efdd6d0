/** Helm, built from its Go module at the version that go.mod pins, and kept for the next time. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const FOLDER = import.meta.dirname;

/** Where built tools are kept between runs. */
function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "portcullis");
}

/** Go, where it is: on the path, or where its own archive is unpacked to. */
export function findGo(): string | null {
  const places = ["go", "/usr/local/go/bin/go"];
  return places.find((place) => spawnSync(place, ["version"], { stdio: "ignore" }).status === 0) ?? null;
}

/** Path of helm; null where there is neither a built one nor Go to build it. The first build takes a minute or two. */
export function helmBinary(): string | null {
  const sum = createHash("sha256")
    .update(readFileSync(join(FOLDER, "go.sum")))
    .digest("hex");
  const path = join(cacheFolder(), `helm-${sum.slice(0, 16)}`);
  if (existsSync(path)) return path;
  const go = findGo();
  if (go === null) return null;
  mkdirSync(cacheFolder(), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  const args = ["build", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o", temporary, "helm.sh/helm/v3/cmd/helm"];
  execFileSync(go, args, {
    cwd: FOLDER,
    env: { ...process.env, CGO_ENABLED: "0" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  renameSync(temporary, path);
  return path;
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
