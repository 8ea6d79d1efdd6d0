/**
 * Section 3: what leaves by other sockets than those of TCP, UDP and ICMP is that process's whose socket it is, or nobody's. `owner`
 * may talk to one server over any protocol; `stranger` is listed nowhere, and has CAP_NET_RAW.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { text as bytesOf } from "../packets/bytes.ts";
import { ip } from "../packets/ip.ts";
import { raw, udp } from "../packets/transport.ts";
import { type Expected, Fixture } from "./harness/fixture.ts";
import { egress, profile, toServer } from "./harness/profiles.ts";
import { framed, leaves } from "./harness/sniffing.ts";
import type { WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const IP_IN_IP = 4;
const IPV6_IN_IP = 41;
const GRE = 47;

const fixture = await Fixture.start("protocols", {
  apps: ["shop", "free"],
  profiles: (fixture) => [profile("shop", [egress(fixture.program("owner"), toServer({ protocols: ["any"] }))])],
});
const shop = fixture.workload("shop");
/** No profile selects it: what leaves from there shows that the attack itself works. */
const free = fixture.workload("free");
const owner = fixture.path("bin", "owner");
const stranger = fixture.program("stranger");

interface Way {
  verbs: (from: WorkloadPlace, text: string) => string;
  /** Whose it is that the stranger sends. */
  expected: Expected;
  /** Whether a listed process may send it. */
  mayBeListed: boolean;
  /** Not every kernel has it. */
  isOptional?: boolean;
}

const OWN: Pick<Way, "expected" | "mayBeListed"> = {
  expected: { reason: "BinaryUnknown", path: stranger },
  mayBeListed: true,
};
const NOBODYS: Pick<Way, "expected" | "mayBeListed"> = {
  expected: { reason: "Unattributed", path: null },
  mayBeListed: false,
};
const packet = (bytes: number[]) => `packet ${Buffer.from(bytes).toString("hex")}`;

for (const [family, server] of [
  ["IPv4", SERVER],
  ["IPv6", SERVER6],
] as const) {
  const isIpv6 = family === "IPv6";
  const own = (place: WorkloadPlace) => (isIpv6 ? place.ipv6 : place.ipv4);
  const ends = (from: WorkloadPlace) => ({ from: own(from), to: server });
  const inner = (from: WorkloadPlace, text: string) => ip(ends(from), udp({ from: 1, to: 2 }, text));
  const WAYS: Record<string, Way> = {
    "UDP-Lite": {
      verbs: (_, text) => `udplite${isIpv6 ? 6 : 4} sendto ${server} 7000 ${text}`,
      ...OWN,
      isOptional: true,
    },
    "IP in IP by a raw socket": {
      verbs: (from, text) => packet(ip(ends(from), raw(isIpv6 ? IPV6_IN_IP : IP_IN_IP, inner(from, text)))),
      ...OWN,
    },
    "GRE by a raw socket": {
      verbs: (from, text) => packet(ip(ends(from), raw(GRE, [0, 0, 8, 0, ...inner(from, text)]))),
      ...OWN,
    },
    "a protocol that nobody knows, by a raw socket": {
      verbs: (from, text) => packet(ip(ends(from), raw(253, bytesOf(text)))),
      ...OWN,
    },
    AF_XDP: {
      verbs: (from, text) => `xdp eth0 ${framed(fixture, from, ip(ends(from), udp({ from: 40_000, to: 7000 }, text)))}`,
      ...NOBODYS,
      isOptional: true,
    },
  };
  for (const [way, { verbs, expected, mayBeListed, isOptional }] of Object.entries(WAYS)) {
    test(`§3 ${family}, ${way}: ${mayBeListed ? "its process's" : "nobody's"}`, async (context) => {
      const by = (place: WorkloadPlace, program: string) => async (text: string) => {
        const { code, stderr } = await fixture.run(place, program, verbs(place, text));
        assert.notEqual(code, 2, stderr);
      };
      if (isOptional && (await fixture.run(free, stranger, verbs(free, "x"))).code !== 0) {
        return context.skip(`this kernel has no ${way}`);
      }
      assert.ok(await leaves(fixture, stranger, by(free, stranger)), "without the product it leaves");
      assert.equal(await leaves(fixture, stranger, by(shop, owner)), mayBeListed);
      const mark = fixture.agent.events.mark();
      assert.equal(await leaves(fixture, stranger, by(shop, stranger)), false);
      await fixture.violation(expected, mark, shop);
    });
  }
}
