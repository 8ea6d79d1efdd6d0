/** The real programs that others use with Portcullis, for tests: built with Go, each from a module of its own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { goBinary } from "../../tools/go-binary.ts";

const TARGETS = {
  /** The command of Cilium's Hubble. */
  hubble: "github.com/cilium/cilium/hubble",
  /** An OpenTelemetry Collector, of the parts that main.go names. */
  otelcol: ".",
} as const;

/** Path of the program. @throws AssertionError where it is not there, and Go to build it is neither */
export function engine(name: keyof typeof TARGETS): string {
  const path = goBinary(join(import.meta.dirname, name), name, TARGETS[name]);
  assert.ok(
    path !== null,
    `${name} is built with Go, and there is none: install Go 1.26 or later, from https://go.dev/dl`,
  );
  return path;
}
