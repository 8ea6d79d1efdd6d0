/**
 * A pod pings its node while the node pings the pod, with the same identifier. projectcalico/calico#5358, "packet drops in eBPF mode
 * (between the pod and the node where the pod is placed)": type and code of an echo request stood where ports stand, and the reply
 * was of no connection. Requests and replies of both directions have to be distinguished, and each has its own rule.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const PING = "/usr/bin/ping";
const IDENTIFIER = "4242";
const echo = (cidr4: string[], cidr6: string[]) => ({ cidr4, cidr6, l4: { protocols: ["icmp", "icmpv6"] as const } });

const fixture = await Fixture.start("pings", {
  apps: ["both", "out"],
  profiles: (fixture) => {
    const [both, out] = fixture.topology.workloads;
    assert.ok(both !== undefined && out !== undefined);
    const rules = (place: typeof both) => {
      const { cidr4, cidr6, l4 } = echo([`${place.gateway4}/32`], [`${place.gateway6}/128`]);
      return { cidr4, cidr6, l4: { protocols: [...l4.protocols] } };
    };
    return [
      // The kernel answers an echo request, which is no process's.
      profile("both", [egress(PING, rules(both))], {
        default: {
          ingress: { ...rules(both), l3: { protocols: ["ipv4", "ipv6", "arp"] } },
          egress: {
            l3: { protocols: ["arp", "ipv6"] },
            cidr6: ["fe80::/10", "ff02::/16", "fd00::/8"],
            l4: { protocols: ["icmpv6"] },
          },
        },
      }),
      profile("out", [egress(PING, rules(out))]),
    ];
  },
});
const { node } = fixture.topology;
const args = (address: string) => ["-c", "5", "-i", "0.2", "-W", "1", "-e", IDENTIFIER, address];
const received = /(\d+) received/;

for (const family of ["IPv4", "IPv6"]) {
  for (const app of ["both", "out"]) {
    const answered = app === "both" ? "answered" : "not answered, where no rule has it";
    test(`${family}: the pod's pings are answered, the node's are ${answered}`, async () => {
      const place = fixture.workload(app);
      const [own, gateway] = family === "IPv4" ? [place.ipv4, place.gateway4] : [place.ipv6, place.gateway6];
      const mark = fixture.agent.events.mark();
      const [out, inward] = await Promise.all([
        fixture.run(place, PING, args(gateway)),
        fixture.run(node, PING, args(own)),
      ]);
      assert.equal(out.stdout.match(received)?.[1], "5", `${out.stdout}${out.stderr}`);
      assert.equal(inward.stdout.match(received)?.[1], app === "both" ? "5" : "0", inward.stdout);
      if (app === "out") {
        await fixture.violation({ reason: "Unattributed", path: null, direction: "ingress" }, mark, place);
      }
    });
  }
}
