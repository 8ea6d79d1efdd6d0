import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { libbpfVersion } from "../../ffi/libbpf-library.ts";
import { effectiveCapabilities, lockdownMode } from "./node-probes.ts";
import type { FeatureReport } from "./probes.ts";
import { canEnforce, hasFeature, probeFeatures } from "./probes.ts";

/** What a probe could leave behind in this process. */
function traces(): unknown {
  return { files: readdirSync("/proc/self/fd").length, namespace: readlinkSync("/proc/thread-self/ns/net") };
}

test("this machine can enforce, every report is complete, and nothing is left behind", () => {
  libbpfVersion(); // opens the library, which stays open
  const before = traces();
  const reports = probeFeatures();
  assert.deepEqual(traces(), before);
  assert.ok(canEnforce(reports), JSON.stringify(reports.filter((r) => r.required && !r.available)));
  for (const { feature, detail, consequence } of reports) assert.ok(feature && detail && consequence, feature);
  assert.equal(new Set(reports.map(({ feature }) => feature)).size, reports.length);
  assert.equal(probeFeatures(), reports, "probed once");
  assert.equal(hasFeature("ring-buffer"), true);
  assert.equal(hasFeature("no such feature"), false);
});

function report(feature: string, required: boolean, available: boolean): FeatureReport {
  return { feature, required, available, detail: "", consequence: "" };
}

test("only what is required keeps a node from enforcing", () => {
  assert.equal(canEnforce([report("a", true, true), report("b", false, false)]), true);
  assert.equal(canEnforce([report("a", true, false), report("b", false, true)]), false);
});

test("capabilities and lockdown, as the kernel writes them", () => {
  assert.equal(effectiveCapabilities("Name:\tx\nCapEff:\t0000000000201000\nCapBnd:\t0\n"), 0x201000n);
  assert.equal(effectiveCapabilities("Name:\tx\n"), 0n);
  assert.equal(lockdownMode("none [integrity] confidentiality\n"), "integrity");
  assert.equal(lockdownMode("[none] integrity confidentiality\n"), "none");
  assert.equal(lockdownMode("garbage"), null);
});
