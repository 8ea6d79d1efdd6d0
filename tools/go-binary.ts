/** Programs that are built with Go from modules which this repository pins, and kept for the next time. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Go, where it is: on the path, or where its own archive is unpacked to. */
export function findGo(): string | null {
  const places = ["go", "/usr/local/go/bin/go"];
  return places.find((place) => spawnSync(place, ["version"], { stdio: "ignore" }).status === 0) ?? null;
}

/**
 * Path of a program; null where there is neither a built one nor Go to build it. The first build takes a minute or two.
 * @param folder of the module, with its go.mod and go.sum
 * @param target package that is built
 */
export function goBinary(folder: string, name: string, target: string): string | null {
  const sum = createHash("sha256");
  for (const file of ["go.sum", "main.go"]) {
    if (existsSync(join(folder, file))) sum.update(readFileSync(join(folder, file)));
  }
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "portcullis");
  const path = join(cache, `${name}-${sum.digest("hex").slice(0, 16)}`);
  if (existsSync(path)) return path;
  const go = findGo();
  if (go === null) return null;
  mkdirSync(cache, { recursive: true });
  const temporary = `${path}.${process.pid}`;
  execFileSync(go, ["build", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o", temporary, target], {
    cwd: folder,
    env: { ...process.env, CGO_ENABLED: "0" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  renameSync(temporary, path);
  return path;
}
