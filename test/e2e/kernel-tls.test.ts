/**
 * Section 3: what a stranger leaves in an unfinished record of kernel TLS, by send(2) or splice(2), is its own until it has left.
 * `owner` and `heir` may talk to one server; `stranger` is listed nowhere.
 */
import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { release } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { attachedHookSets } from "../../src/node-agent/enforce/attach/function-hooks.ts";
import { listPins } from "../../src/node-agent/kernel/bpffs.ts";
import { type HandOver, lend, lendingFixture } from "./harness/lend.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** Longer than the retransmission of a segment that was dropped takes to come a second time. */
const RESUME = "sleep 50 send x sleep 900";

const { fixture, shop, open, owner, heir, stranger } = await lendingFixture("kerneltls", { protocols: ["tcp"] });

/**
 * What to write so that the text itself is in the first record on the wire: with a key and a nonce of zeros, AES-GCM adds the
 * counter mode's stream from its second block on (NIST SP 800-38D, 7.1).
 */
const plain = (text: string) => {
  const counter = Buffer.from("00000000000000000000000000000002", "hex");
  return createCipheriv("aes-128-ctr", Buffer.alloc(16), counter).update(Buffer.from(text)).toString("hex");
};

/** From 6.5 on, splice(2) and sendfile(2) go the way of send(2). */
const isBefore = (major: number, minor: number) => {
  const [own = 0, ownMinor = 0] = release().split(".").map(Number);
  return own < major || (own === major && ownMinor < minor);
};

const ATTACKS: Record<string, HandOver> = Object.fromEntries(
  [`tcp4 connect ${SERVER} 7000`, `tcp6 connect ${SERVER6} 7000`].flatMap((make) => {
    const family = make.startsWith("tcp6") ? "IPv6" : "IPv4";
    return [
      [`${family}: a record of kernel TLS`, { make: `${make} tls`, use: "sendmorehex TAG", resume: RESUME }],
      [
        `${family}: a record of kernel TLS that the stranger begins`,
        { make, use: "tls sendmorehex TAG", resume: RESUME },
      ],
      [
        `${family}: a record of kernel TLS, from a pipe`,
        { make: `${make} tls`, use: "splicemorehex TAG", resume: RESUME },
      ],
    ];
  }),
);

for (const [what, attack] of Object.entries(ATTACKS)) {
  test(`§3 what a stranger leaves in its owner's socket does not leave with what the owner writes: ${what}`, async (context) => {
    const by = (borrower: string) => ({ owner, borrower });
    if ((await fixture.run(open, owner, `tcp4 connect ${SERVER} 7000 tls`)).code !== 0) {
      return context.skip("this kernel has no TLS");
    }
    const { senders } = attachedHookSets(listPins(join(fixture.agent.pinRoot, "links")));
    if (senders === null) return context.skip("this kernel does not show who leaves something in a socket's queue");
    if (attack.use.includes("splice") && isBefore(6, 5)) return context.skip("this kernel does not show who splices");
    assert.notDeepEqual(await lend(fixture, open, by(stranger), attack, plain), [], "it arrives without a profile");
    assert.notDeepEqual(await lend(fixture, shop, by(heir), attack, plain), [], "a listed process's arrives");
    assert.deepEqual(await lend(fixture, shop, by(stranger), attack, plain), []);
  });
}
