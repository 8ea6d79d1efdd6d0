/**
 * A rule for `icmpv6`, and nothing else. kubearmor/KubeArmor#2497, "fix icmpv6 protocol rule policy matching": the rule matched for one of the two
 * ways in which packets are seen, and was written in other letters in the other. Either keyword has to mean its own protocol,
 * for ping sockets and raw sockets alike, and what is none is refused with words.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { PORTCULLIS } from "../e2e/harness/agent-under-test.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const OUTSIDE = { cidr4: ["198.51.100.0/24"], cidr6: ["2001:db8::/32"] };
const PEERS = { icmp: "198.51.100.1", icmpv6: "2001:db8:1::1" } as const;
type Keyword = keyof typeof PEERS;
const KEYWORDS = Object.keys(PEERS) as Keyword[];
/** iputils has a socket for pings, busybox a raw one. */
const PINGS = { ping: "/usr/bin/ping", busybox: "/bin/busybox" };

const fixture = await Fixture.start("icmpv6", {
  apps: KEYWORDS,
  profiles: (fixture) => {
    const programs = Object.entries(PINGS).map(([name, original]) => fixture.program(name, original));
    return KEYWORDS.map((keyword) =>
      profile(
        keyword,
        programs.map((path) => egress(path, { ...OUTSIDE, l4: { protocols: [keyword] } })),
      ),
    );
  },
});

for (const program of Object.keys(PINGS)) {
  for (const keyword of KEYWORDS) {
    test(`${program}: where ${keyword} is listed, its pings pass and the other family's do not`, async () => {
      const place = fixture.workload(keyword);
      const path = fixture.path("bin", program);
      for (const asked of KEYWORDS) {
        const applet = program === "busybox" ? [asked === "icmp" ? "ping" : "ping6"] : [];
        const mark = fixture.agent.events.mark();
        const { stdout, stderr } = await fixture.run(place, path, [...applet, "-c", "1", "-W", "1", PEERS[asked]]);
        assert.match(stdout, asked === keyword ? /1 (packets )?received/ : /0 (packets )?received/, stderr);
        const expected =
          asked === keyword ? ({ verdict: "allowed", reason: "Allowed" } as const) : ({ reason: "Port" } as const);
        await fixture.violation({ ...expected, path, proto: asked }, mark, place);
      }
    });
  }
}

test("other letters are refused, and the right word is in the message", () => {
  const file = fixture.path("letters.json");
  writeFileSync(
    file,
    JSON.stringify(profile("x", [egress("/bin/ping", { ...OUTSIDE, l4: { protocols: ["ICMPv6" as never] } })])),
  );
  const { status, stdout, stderr } = spawnSync(PORTCULLIS, ["validate", file], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(`${stdout}${stderr}`, /icmpv6/);
});
