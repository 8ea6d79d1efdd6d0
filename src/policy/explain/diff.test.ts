import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules, SecurityProfile } from "../../api/types.ts";
import { compileTable } from "../compile/compile.ts";
import { egressProfile, processOf, profileOf } from "../testing/profiles.ts";
import { describeDiff, diffTables } from "./diff.ts";

function compile(...profiles: SecurityProfile[]) {
  return compileTable(profiles, { searchDomains: [] });
}

function words(before: EgressRules, after: EgressRules): string[] {
  return describeDiff(diffTables(compile(egressProfile(before)), compile(egressProfile(after))));
}

test("a table does not differ from itself", () => {
  const diff = diffTables(compile(egressProfile({})), compile(egressProfile({})));
  assert.equal(diff.identical, true);
  assert.deepEqual(describeDiff(diff), ["no change"]);
});

test("each entry that comes or goes is reported, with the profile behind it", () => {
  assert.deepEqual(
    words(
      { cidr4: ["10.0.0.0/8"] },
      { cidr4: ["11.0.0.0/8"], l4: { protocolPorts: [{ protocol: "tcp", port: 443 }] } },
    ),
    [
      "- process /bin/app: egress peer 10.0.0.0/8 (by default/web)",
      "+ process /bin/app: egress peer 11.0.0.0/8 (by default/web)",
      "+ process /bin/app: egress l4 tcp 443 (by default/web)",
    ],
  );
});

test("names are reported as they were written, not as they were flattened", () => {
  assert.deepEqual(
    words({ fqdns: ["*.example.com"] }, { fqdns: ["*.example.com", "www.example.com", "example.org"] }),
    [
      "+ process /bin/app: egress ask example.org (by default/web)",
      "+ process /bin/app: egress connect example.org (by default/web)",
    ],
  );
});

test("a first table is all addition, and a process that goes is one line", () => {
  const both = profileOf("web", {
    actions: ["alert"],
    processes: [processOf("/bin/a", {}), processOf("/bin/b", {}, { container: "c" })],
  });
  const one = profileOf("web", { actions: ["enforce"], processes: [processOf("/bin/a", {})] });
  assert.deepEqual(describeDiff(diffTables(null, compile(both))), [
    "+ profile default/web",
    "+ action alert",
    "+ process /bin/a",
    "+ process /bin/b in container c",
  ]);
  assert.deepEqual(describeDiff(diffTables(compile(both), compile(one))), [
    "+ action enforce",
    "- action alert",
    "- process /bin/b in container c",
  ]);
});

test("an entry that stands on another profile's word is a change", () => {
  const a = profileOf("a", { processes: [processOf("/bin/app", { egress: { cidr4: ["10.0.0.0/8"] } })] });
  const b = profileOf("b", { processes: [processOf("/bin/app", { egress: { cidr4: ["10.0.0.0/8"] } })] });
  const lines = describeDiff(diffTables(compile(a), compile(a, b)));
  assert.ok(lines.includes("~ process /bin/app: egress peer 10.0.0.0/8 (by default/a, default/b; was by default/a)"));
});

test("a default that comes is shown like a process", () => {
  const before = profileOf("web", {});
  const after = profileOf("web", { default: { egress: { l3: { protocols: ["arp"] } } } });
  const lines = describeDiff(diffTables(compile(before), compile(after)));
  assert.equal(lines[0], "+ default");
  assert.ok(lines.includes("+ default: egress l3 arp (by default/web)"));
});
