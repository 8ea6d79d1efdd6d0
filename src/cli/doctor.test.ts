import assert from "node:assert/strict";
import { test } from "node:test";
import type { FeatureReport } from "../node-agent/kernel/features/features.ts";
import type { FeatureState } from "../node-agent/kernel/features/finding.ts";
import { reportText } from "./doctor.ts";

const FEATURES: FeatureReport[] = [
  feature("btf", true, "supported", "there", "all"),
  feature("kernel-reads", true, "missing", "boot without lockdown", "names"),
  feature("jit", false, "missing", "off", "speed"),
  feature("lsm", false, "unknown", "mount securityfs", "senders"),
];

function feature(
  name: string,
  required: boolean,
  state: FeatureState,
  detail: string,
  consequence: string,
): FeatureReport {
  return { feature: name, required, available: state === "supported", state, detail, consequence };
}

const HOOK_SETS = { devices: "fentry", flows: null, senders: "tracepoints" } as const;

test("each feature has a line, what is missing or unknown says what is lost, and the end says what it comes to", () => {
  const text = reportText({ canEnforce: false, kernel: "6.1", features: FEATURES, hookSets: HOOK_SETS }, 80);
  assert.equal(
    text,
    `ok       btf           there
missing  kernel-reads  boot without lockdown
                       lost: names
without  jit           off
                       lost: speed
unknown  lsm           mount securityfs
                       lost: senders

Veth pairs are seen by:   fentry
Flows are registered by:  socket storage alone
Senders are shown by:     tracepoints

This node (kernel 6.1) cannot enforce profiles: kernel-reads missing.
`,
  );
});

test("a node that lacks nothing that is required", () => {
  const features = FEATURES.filter((report) => report.feature !== "kernel-reads");
  assert.match(
    reportText({ canEnforce: true, kernel: "6.1", features, hookSets: HOOK_SETS }, 80),
    /kernel 6\.1\) can enforce profiles\.\n$/,
  );
});
