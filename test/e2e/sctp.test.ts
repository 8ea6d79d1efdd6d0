/**
 * Section 3: SCTP is its process's, however its socket came to be: for one association or for many, or peeled off. `owner` and `heir` may
 * talk to one server; `stranger` is listed nowhere: its associations do not begin, and what it writes into a socket of `owner`'s does not leave.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type HandOver, lendingFixture } from "./harness/lend.ts";
import { patiently } from "./harness/patience.ts";
import { leaves } from "./harness/sniffing.ts";
import type { WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** A server each time has a port of its own: where an association has not ended in order, the one before it keeps its own. */
const PORTS = { port: 7100, endPort: 7199 };
/** Longer than what was dropped takes to be sent a second time, the first of which takes three seconds. */
const RETRANSMITTED_MS = 4000;

const { fixture, shop, open, owner, heir, stranger } = await lendingFixture("sctp", {
  protocolPorts: [{ protocol: "sctp", ...PORTS }],
});
const { outside } = fixture.topology;
let port = PORTS.port;

const { code } = await fixture.run(open, stranger, "sctp4");
const skip = code === 0 ? false : "this kernel has no SCTP";

for (const [family, server] of [
  ["4", SERVER],
  ["6", SERVER6],
] as const) {
  /** With a server that takes one association. */
  const leavesTo = (send: (text: string) => Promise<unknown>) =>
    leaves(fixture, stranger, async (text) => {
      port++;
      const listening = `sctp${family} bind ${server} ${port} listen accept recv recv`;
      const serving = fixture.start(outside, stranger, `timeout ${patiently(8000)} ${listening}`);
      await serving.line("listening");
      await send(text);
      await serving.kill();
    });
  const leavesBy = (place: WorkloadPlace, program: string, verbs: (text: string) => string) =>
    leavesTo((text) => fixture.run(place, program, `timeout 1000 ${verbs(text)}`));
  const WAYS: Record<string, (text: string) => string> = {
    "a socket of its own": (text) => `sctp${family} connect ${server} ${port} send ${text} sleep 100`,
    "a socket for many": (text) => `sctpmany${family} sendto ${server} ${port} ${text} sleep 300`,
    "a peeled-off one": (text) => `sctpmany${family} sendto ${server} ${port} x sleep 300 peel send ${text} sleep 100`,
  };
  for (const [way, verbs] of Object.entries(WAYS)) {
    test(`§3 SCTP over IPv${family}, ${way}: by its process's rules`, { skip }, async () => {
      assert.ok(await leavesBy(open, stranger, verbs), "it leaves without a profile");
      assert.ok(await leavesBy(shop, owner, verbs), "a listed process's leaves");
      const mark = fixture.agent.events.mark();
      assert.equal(await leavesBy(shop, stranger, verbs), false);
      await fixture.violation({ reason: "BinaryUnknown", path: stranger, proto: "sctp" }, mark, shop);
    });
  }

  /** By a socket that `owner` makes and lends. Somebody writes into it, and `owner` goes on. */
  const leavesByLent = (place: WorkloadPlace, borrower: string, { make, use, resume }: HandOver) =>
    leavesTo(async (text) => {
      const path = fixture.path(`${fixture.tag()}socket`);
      const giver = fixture.start(place, owner, `timeout 1000 ${make} pass ${path} ${resume}`);
      await giver.line("offering");
      await fixture.run(place, borrower, `timeout 1000 take ${path} ${use.replace("TAG", text)}`);
      await giver.finish();
    });
  const again = `sleep ${RETRANSMITTED_MS}`;
  const LENT: Record<string, (peer: string) => HandOver> = {
    "for one association": (peer) => ({
      make: `sctp${family} connect ${peer} send x`,
      use: "send TAG",
      resume: `send y ${again}`,
    }),
    "for many": (peer) => ({
      make: `sctpmany${family} sendto ${peer} x sleep 300`,
      use: `sendto ${peer} TAG`,
      resume: `sendto ${peer} y ${again}`,
    }),
    "for many, of which its borrower begins one": (peer) => ({
      make: `sctpmany${family}`,
      use: `sendto ${peer} TAG`,
      resume: again,
    }),
    "peeled off": (peer) => ({
      make: `sctpmany${family} sendto ${peer} x sleep 300 peel`,
      use: "send TAG",
      resume: `send y ${again}`,
    }),
  };
  for (const [what, attack] of Object.entries(LENT)) {
    test(`§3 what a stranger writes into an SCTP socket is not sent again as its owner's: ${what}, over IPv${family}`, {
      skip,
    }, async () => {
      const lent = (place: WorkloadPlace, borrower: string) => {
        return leavesByLent(place, borrower, attack(`${server} ${port + 1}`));
      };
      assert.ok(await lent(open, stranger), "it leaves without a profile");
      assert.ok(await lent(shop, heir), "what a listed process writes leaves");
      assert.equal(await lent(shop, stranger), false);
    });
  }
}
