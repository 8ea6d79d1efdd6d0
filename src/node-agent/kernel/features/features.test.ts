import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { ERRNO, KernelError } from "../../ffi/errno.ts";
import { libbpfVersion } from "../../ffi/libbpf-library.ts";
import type { FeatureReport } from "./features.ts";
import { canEnforce, hasFeature, probeFeatures } from "./features.ts";
import { type Finding, kernelProbe, supported } from "./finding.ts";
import { effectiveCapabilities, lockdownMode } from "./node.ts";

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

test("a probe says supported, missing with the version that it takes, or unknown with the error", () => {
  const answers: (() => Finding)[] = [];
  let asked = 0;
  const probe = (since: string) =>
    kernelProbe(since, () => {
      asked += 1;
      return (answers.shift() ?? assert.fail())();
    });
  const fails = (errno: number) => (): Finding => {
    throw new KernelError({ operation: "create", object: "a map", errno });
  };

  answers.push(fails(ERRNO.EINVAL));
  const absent = probe("5.8");
  assert.equal(absent().state, "missing");
  assert.match(absent().detail, /a map.*; it takes Linux 5\.8 or later$/);
  assert.equal(asked, 1, "a definite answer is kept");

  answers.push(fails(ERRNO.EPERM), () => supported("there"));
  const refused = probe("5.8");
  const { state, detail } = refused();
  assert.equal(state, "unknown", "a kernel that refuses to answer may have it");
  assert.match(detail, /a map/);
  assert.doesNotMatch(detail, /Linux/);
  assert.deepEqual(refused(), { state: "supported", detail: "there" }, "asked again");
  assert.equal(refused().state, "supported");
  assert.equal(asked, 3);
});

function report(feature: string, required: boolean, available: boolean): FeatureReport {
  return { feature, required, available, state: available ? "supported" : "missing", detail: "", consequence: "" };
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
