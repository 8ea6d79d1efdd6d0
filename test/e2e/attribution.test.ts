/**
 * Section 3: a packet belongs to the process that owns its socket, from the first one on. `asker` may talk to one
 * server; `stranger` is listed nowhere. Both are copies of one program.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Lab } from "./harness/lab.ts";
import { egress, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";

const lab = await Lab.start("attribution", {
  apps: ["shop"],
  profiles: (lab) => [
    profile("shop", [
      egress(lab.program("asker"), {
        cidr4: [`${SERVER}/32`],
        cidr6: [`${SERVER6}/128`],
        l4: { protocols: ["tcp", "udp", "icmp", "icmpv6"] },
      }),
    ]),
  ],
});
const shop = lab.workload("shop");
const asker = lab.path("bin", "asker");
const stranger = lab.program("stranger");

const FIRST_PACKETS: Record<string, string> = {
  TCP: `tcp4 connect ${SERVER} 7000 send TAG recv`,
  "TCP over IPv6": `tcp6 connect ${SERVER6} 7000 send TAG recv`,
  "UDP, not connected": `udp4 sendto ${SERVER} 7000 TAG recv`,
  "UDP, connected": `udp4 connect ${SERVER} 7000 send TAG recv`,
  "UDP over IPv6": `udp6 sendto ${SERVER6} 7000 TAG recv`,
  "ICMP by a ping socket": `icmp4 ping ${SERVER}`,
  "ICMPv6 by a ping socket": `icmp6 ping ${SERVER6}`,
  "ICMP by a raw socket": `raw4 1 ping ${SERVER}`,
  "ICMPv6 by a raw socket": `raw6 58 ping ${SERVER6}`,
  "a socket used after fork": `udp4 fork sendto ${SERVER} 7000 TAG recv`,
  "a connected socket used after fork": `tcp4 connect ${SERVER} 7000 fork send TAG recv`,
  "a socket used by a thread": `udp4 thread sendto ${SERVER} 7000 TAG recv`,
  "a process whose first thread has ended": `leaderexits udp4 sendto ${SERVER} 7000 TAG recv`,
};

for (const [what, verbs] of Object.entries(FIRST_PACKETS)) {
  test(`§3 first packet of ${what}: the listed process's passes`, async () => {
    await lab.passes(shop, asker, verbs);
  });
  test(`§3 first packet of ${what}: another process's is stopped`, async () => {
    const event = await lab.stops(shop, stranger, verbs, { reason: "BinaryUnknown", direction: "egress" });
    assert.equal(event.process?.path, stranger);
    assert.deepEqual(event.profiles, ["default/shop-profile"]);
  });
}
