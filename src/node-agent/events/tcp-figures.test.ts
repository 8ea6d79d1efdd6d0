/** From what the kernel has written down of a connection to its figures, and to who or what ended it. */
import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { TCP_STATES, type TcpFigures, type TcpState } from "../../flow/record.ts";
import { FlowTcp } from "../../gen/abi.gen.ts";
import { tcpFigures } from "./tcp-figures.ts";

const { ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EPIPE, ETIMEDOUT } = constants.errno;
const NOTHING: FlowTcp = FlowTcp.decode(Buffer.alloc(FlowTcp.SIZE));
const CLOSED_BY_PROCESS = 3;

function closedFrom(state: TcpState, rest: Partial<FlowTcp> = {}): FlowTcp {
  return { ...NOTHING, closedFrom: TCP_STATES.indexOf(state) + 1, ...rest };
}

const CASES: [string, FlowTcp, Pick<TcpFigures, "failure" | "resetBy">][] = [
  ["a closed port", closedFrom("syn-sent", { error: ECONNREFUSED }), { failure: "refused" }],
  ["nobody answers", closedFrom("syn-sent", { error: ETIMEDOUT }), { failure: "timeout" }],
  ["no way", closedFrom("syn-sent", { error: EHOSTUNREACH }), { failure: "unreachable" }],
  [
    "no way, and the process has taken the error",
    closedFrom("syn-sent", { unreachable: 1 }),
    { failure: "unreachable" },
  ],
  ["given up", closedFrom("syn-sent", { shutdown: CLOSED_BY_PROCESS }), { failure: "abandoned" }],
  ["denied, without a word", closedFrom("syn-sent", { error: ETIMEDOUT, refused: 4 }), { failure: "denied" }],
  ["denied, with a reset", closedFrom("syn-sent", { error: ECONNREFUSED, refused: 4 }), { failure: "denied" }],
  ["both have closed", closedFrom("last-ack"), {}],
  ["this side closed first", closedFrom("fin-wait-2", { shutdown: CLOSED_BY_PROCESS }), {}],
  ["the peer reset it", closedFrom("established", { error: ECONNRESET }), { resetBy: "remote", failure: "reset" }],
  [
    "the peer reset it after its end",
    closedFrom("close-wait", { error: EPIPE }),
    { resetBy: "remote", failure: "reset" },
  ],
  ["this side reset it", closedFrom("established", { shutdown: CLOSED_BY_PROCESS }), { resetBy: "local" }],
  ["the peer is gone", closedFrom("established", { error: ETIMEDOUT, retransmits: 15 }), { failure: "timeout" }],
];

for (const [title, tcp, expected] of CASES) {
  test(title, () => {
    const { failure, resetBy } = tcpFigures(tcp) ?? {};
    assert.deepEqual({ ...(failure && { failure }), ...(resetBy && { resetBy }) }, expected);
  });
}

test("nothing is known, or the handshake alone", () => {
  assert.equal(tcpFigures(NOTHING), null);
  assert.deepEqual(tcpFigures({ ...NOTHING, handshake: 5n }), { handshakeNs: 5 });
});

test("figures are in nanoseconds; what was not measured is absent", () => {
  const figures = { rttLeast: 2, rttSmoothed: 3, retransmits: 4, lost: 5, outOfOrder: 6 };
  assert.deepEqual(tcpFigures(closedFrom("last-ack", { ...figures, handshake: 7n })), {
    ...{ state: "last-ack", handshakeNs: 7, rtt: { minNs: 2000, smoothedNs: 3000 } },
    ...{ retransmits: 4, lost: 5, outOfOrder: 6 },
  });
  assert.deepEqual(tcpFigures(closedFrom("last-ack", { rttSmoothed: 3 }))?.rtt, { smoothedNs: 3000 });
  assert.equal(tcpFigures(closedFrom("syn-sent"))?.rtt, undefined);
});
