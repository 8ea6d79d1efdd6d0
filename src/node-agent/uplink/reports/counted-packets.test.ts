import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTable } from "../../../policy/compile/compile.ts";
import { tableWithSymlinks } from "../../../policy/compile/symlinks.ts";
import { processOf, profileOf } from "../../../policy/testing/profiles.ts";
import { subjectsOf } from "./counted-packets.ts";
import { type CountedPackets, CounterReport } from "./counter-report.ts";

const egress = { cidr4: ["10.0.0.0/8"], l4: { protocols: ["tcp" as const] } };
const web = profileOf("web", { processes: [processOf("/bin/web", { egress }, { container: "main" })] });
const base = profileOf("base", { processes: [processOf("/bin/sh", { egress })], default: { egress } });
const table = compileTable([web, base], { searchDomains: [] });

test("packets are counted for the profiles that list their process, else for the defaults", () => {
  assert.deepEqual(subjectsOf(table, "/bin/web", {}), [
    { profile: "default/web", path: "/bin/web", container: "main" },
  ]);
  assert.deepEqual(subjectsOf(table, "/bin/other", {}), [{ profile: "default/base", path: "", container: "" }]);
  assert.deepEqual(subjectsOf(table, null, {}), [{ profile: "default/base", path: "", container: "" }]);
  const alone = compileTable([web], { searchDomains: [] });
  assert.deepEqual(subjectsOf(alone, null, {}), [{ profile: "default/web", path: "", container: "" }]);
});

test("a file that a listed link leads to is counted under the listed name", () => {
  const fitted = tableWithSymlinks(table, [
    { name: "main", ephemeral: false, fileOf: (path) => (path === "/bin/sh" ? "/bin/busybox" : path) },
  ]);
  const files = { "main:/bin/sh": "/bin/busybox", "main:/bin/web": "/bin/web" };
  assert.deepEqual(subjectsOf(fitted, "/bin/busybox", files), [
    { profile: "default/base", path: "/bin/sh", container: "main" },
  ]);
});

const count = (key: string, packets: number, profiles = ["default/web"]): CountedPackets => ({
  key,
  packets,
  direction: "egress",
  verdict: "dropped",
  reason: "Peer",
  subjects: profiles.map((profile) => ({ profile, path: "/bin/web", container: "" })),
});

const packetsIn = (report: ReturnType<CounterReport["next"]>) =>
  report?.processes.map(({ profile, verdicts }) => [profile, Number(verdicts[0]?.packets)]) ?? null;

test("a report has what came since the one before; counters that began anew count from nothing", () => {
  let counts = [count("1", 5), count("2", 7)];
  const report = new CounterReport({ read: () => counts, eventsLost: () => 0 }, new Map([["1", 4]]));
  const first = report.next();
  assert.deepEqual(packetsIn(first), [["default/web", 8]]);
  counts = [count("1", 2)];
  assert.equal(report.next(), null, "one at a time");
  assert.equal(report.acknowledged(9n), false);
  assert.equal(report.acknowledged(first?.sequence ?? 0n), true);
  assert.deepEqual(
    [...report.reported],
    [
      ["1", 5],
      ["2", 7],
    ],
  );
  assert.deepEqual(packetsIn(report.next()), [["default/web", 2]]);
});

test("packets of no profile's are measured, and not reported", () => {
  const measured: number[] = [];
  const source = { read: () => [count("1", 3, [])], eventsLost: () => 2 };
  const report = new CounterReport(source, new Map(), (_, packets) => measured.push(packets));
  const next = report.next();
  assert.deepEqual([next?.processes, next?.eventsLost], [[], 2n]);
  assert.deepEqual(measured, [3]);
});
