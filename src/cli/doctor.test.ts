import assert from "node:assert/strict";
import { test } from "node:test";
import { reportText } from "./doctor.ts";

const FEATURES = [
  { feature: "btf", required: true, available: true, detail: "there", consequence: "all" },
  { feature: "kernel-reads", required: true, available: false, detail: "boot without lockdown", consequence: "names" },
  { feature: "jit", required: false, available: false, detail: "off", consequence: "speed" },
];

const HOOK_SETS = { devices: "fentry", flows: null, senders: "tracepoints" } as const;

test("each feature has a line, what is missing says what is lost, and the end says what it comes to", () => {
  const text = reportText({ canEnforce: false, kernel: "6.1", features: FEATURES, hookSets: HOOK_SETS }, 80);
  assert.equal(
    text,
    `ok       btf           there
missing  kernel-reads  boot without lockdown
                       lost: names
without  jit           off
                       lost: speed

Veth pairs are seen by:   fentry
Flows are registered by:  socket storage alone
Senders are shown by:     tracepoints

This node (kernel 6.1) cannot enforce profiles: kernel-reads missing.
`,
  );
});

test("a node that lacks nothing that is required", () => {
  const features = FEATURES.filter(({ feature }) => feature !== "kernel-reads");
  assert.match(
    reportText({ canEnforce: true, kernel: "6.1", features, hookSets: HOOK_SETS }, 80),
    /kernel 6\.1\) can enforce profiles\.\n$/,
  );
});
