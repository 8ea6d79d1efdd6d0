/** Section 5: packets of one connection of DNS over TCP that are judged at the same moment on two processors. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { after, beforeEach, test } from "node:test";
import type { Reason } from "../../src/api/reasons.ts";
import { APP, incoming, OWN, RESOLVER, Scene } from "../../test/harness/scene.ts";
import { type Lane, runAtOnce } from "../../test/harness/simultaneous.ts";
import { answer, prefixed, question } from "../../test/packets/dns.ts";
import { frame } from "../../test/packets/ethernet.ts";
import { ip } from "../../test/packets/ip.ts";
import { tcp } from "../../test/packets/transport.ts";

const scene = new Scene("dns-tcp-at-once");
after(() => scene[Symbol.dispose]());

const NAME = "www.example.com";
const ASKING = 5000;
const START = 1001;
const ROUNDS = 3000;
const skip = availableParallelism() < 2 && "there is one processor";

beforeEach(() => {
  scene.allow({ cidr4: [`${RESOLVER}/32`], fqdns: [NAME], l4: { protocols: ["tcp", "udp"] } });
  scene.out(RESOLVER, tcp({ from: ASKING, to: 53, flags: "S", sequence: START - 1 }));
  scene.in(RESOLVER, tcp({ from: 53, to: ASKING, flags: "SA", sequence: START - 1 }));
});

/** One of two parts of a stream, again and again: at `from` of each of its pieces of `size` bytes. */
function lane(direction: "egress" | "ingress", part: number[], from: number, size: number): Lane {
  const isOut = direction === "egress";
  const [source, destination] = isOut ? [OWN, RESOLVER] : [RESOLVER, OWN];
  const ports = isOut ? { from: ASKING, to: 53 } : { from: 53, to: ASKING };
  const frames = Array.from({ length: ROUNDS }, (_, round) => {
    const packet = ip(
      { from: source, to: destination },
      tcp({ ...ports, sequence: START + round * size + from }, part),
    );
    return isOut ? frame(packet) : incoming(packet);
  });
  const context = scene.harness.contextOf(isOut ? { process: APP } : {});
  return { program: scene.harness.programs[direction], context, frames, again: "Capacity" };
}

/**
 * The reasons that there were, and where the streams are in the end. Where a hypervisor takes a processor away for long, some packets have
 * to come again, each once or twice.
 */
async function judge(lanes: Lane[]) {
  const outcomes = (await runAtOnce(lanes)).flat();
  const reasons = new Set(outcomes.map((outcome): Reason | undefined => outcome?.reason));
  const [flow] = [...scene.harness.maps.flows.entries()].map(([, value]) => value);
  const { DNS_STREAM_BUSY: _, ...errors } = scene.harness.errorCounts();
  return { reasons: [...reasons], next: flow?.dnsNext, ahead: [...(flow?.dnsAhead ?? [])], errors };
}

test("questions, one behind the other", { skip }, async () => {
  const good = prefixed(question(NAME));
  const size = 2 * good.length;
  const judged = await judge([lane("egress", good, 0, size), lane("egress", good, good.length, size)]);
  const next = [START + ROUNDS * size, START];
  assert.deepEqual(judged, { reasons: ["Allowed"], next, ahead: [0, 0], errors: {} });
});

test("the parts of an answer", { skip }, async () => {
  const reply = prefixed(answer(NAME, []));
  const parts = [lane("ingress", reply.slice(0, 8), 0, reply.length), lane("ingress", reply.slice(8), 8, reply.length)];
  const judged = await judge(parts);
  const next = [START, START + ROUNDS * reply.length];
  assert.deepEqual(judged, { reasons: ["Allowed"], next, ahead: [0, 0], errors: {} });
});

test("a question, and the answer to another one", { skip }, async () => {
  const good = prefixed(question(NAME));
  const reply = prefixed(answer(NAME, []));
  const judged = await judge([lane("egress", good, 0, good.length), lane("ingress", reply, 0, reply.length)]);
  const next = [START + ROUNDS * good.length, START + ROUNDS * reply.length];
  assert.deepEqual(judged, { reasons: ["Allowed"], next, ahead: [0, 0], errors: {} });
});
