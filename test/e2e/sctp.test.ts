/**
 * Section 3: SCTP is its process's, however its socket came to be: for one association or for many, or peeled off. `owner` may
 * talk to one server; `stranger` is listed nowhere, and its associations do not begin.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Lab } from "./harness/lab.ts";
import { patiently } from "./harness/patience.ts";
import { egress, profile } from "./harness/profiles.ts";
import { leaves } from "./harness/sniffing.ts";
import type { WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** A server each time has a port of its own: where an association has not ended in order, the one before it keeps its own. */
const PORTS = { port: 7100, endPort: 7199 };

const lab = await Lab.start("sctp", {
  apps: ["shop", "open"],
  profiles: (lab) => [
    profile("shop", [
      egress(lab.program("owner"), {
        cidr4: [`${SERVER}/32`],
        cidr6: [`${SERVER6}/128`],
        l4: { protocolPorts: [{ protocol: "sctp", ...PORTS }] },
      }),
    ]),
  ],
});
const shop = lab.workload("shop");
const open = lab.workload("open");
const owner = lab.path("bin", "owner");
const stranger = lab.program("stranger");
const { outside } = lab.topology;
let port = PORTS.port;

const { code } = await lab.run(open, stranger, "sctp4");
const skip = code === 0 ? false : "this kernel has no SCTP";

for (const [family, server] of [
  ["4", SERVER],
  ["6", SERVER6],
] as const) {
  /** With a server that takes one association. */
  const leavesBy = (place: WorkloadPlace, program: string, verbs: (text: string) => string) =>
    leaves(lab, stranger, async (text) => {
      port++;
      const listening = `sctp${family} bind ${server} ${port} listen accept recv recv`;
      const serving = lab.start(outside, stranger, `timeout ${patiently(3000)} ${listening}`);
      await serving.line("listening");
      await lab.run(place, program, `timeout 1000 ${verbs(text)}`);
      await serving.kill();
    });
  const WAYS: Record<string, (text: string) => string> = {
    "a socket of its own": (text) => `sctp${family} connect ${server} ${port} send ${text} sleep 100`,
    "a socket for many": (text) => `sctpmany${family} sendto ${server} ${port} ${text} sleep 300`,
    "a peeled-off one": (text) => `sctpmany${family} sendto ${server} ${port} x sleep 300 peel send ${text} sleep 100`,
  };
  for (const [way, verbs] of Object.entries(WAYS)) {
    test(`§3 SCTP over IPv${family}, ${way}: by its process's rules`, { skip }, async () => {
      assert.ok(await leavesBy(open, stranger, verbs), "it leaves without a profile");
      assert.ok(await leavesBy(shop, owner, verbs), "a listed process's leaves");
      const mark = lab.agent.events.mark();
      assert.equal(await leavesBy(shop, stranger, verbs), false);
      await lab.violation({ reason: "BinaryUnknown", path: stranger, proto: "sctp" }, mark, shop);
    });
  }
}
