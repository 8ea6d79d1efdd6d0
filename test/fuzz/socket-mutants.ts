/** Judges of sockets with one fault each, by what is wrong. Each is the fault behind an attack that has succeeded once. */
import type { Packet } from "../../src/policy/packet/packet.ts";
import {
  contextOf,
  type Exit,
  receiverOf,
  type Socket,
  type SocketContext,
  senderOf,
} from "../../src/policy/reference/sockets.ts";
import { NO_ANCESTRY, type Subject } from "../../src/policy/table/subject.ts";
import { REFERENCE, type SocketJudge } from "./socket-run.ts";

type SenderOf = SocketJudge["senderOf"];

const NOBODY: SocketContext = { subjects: [], socket: { id: "nobody" } };

/** For packets that leave by this, another answer than the reference's. */
function bySender(isMeant: (exit: Exit) => boolean, answer: SenderOf): SocketJudge {
  return {
    ...REFERENCE,
    senderOf: (exit, ...rest) => (isMeant(exit) ? answer(exit, ...rest) : senderOf(exit, rest[0])),
  };
}

/** Every socket is taken for another one, in both directions. */
function ofSockets(change: (socket: Socket) => Socket): SocketJudge {
  const isReal = (exit: Exit): exit is Socket => typeof exit !== "string";
  return {
    ...REFERENCE,
    senderOf: (exit, spoken) => senderOf(isReal(exit) ? change(exit) : exit, spoken),
    receiverOf: (sockets, packet, spoken) => receiverOf(sockets.map(change), packet, spoken),
    evaluateReceiver: (state, table, packet, receiver, time) =>
      REFERENCE.evaluateReceiver(state, table, packet, change(receiver), time),
  };
}

/** Of some receipts nobody asks who gets the packet. */
function withoutReceipts(isMeant: (socket: Socket, destination: "own" | "group") => boolean): SocketJudge {
  return {
    ...REFERENCE,
    evaluateReceiver: (state, table, packet, receiver, time) =>
      isMeant(receiver, state.addresses.has(packet.destination) ? "own" : "group")
        ? null
        : REFERENCE.evaluateReceiver(state, table, packet, receiver, time),
  };
}

/** The rights of the sockets of some kinds that have the packet's ends. */
function lentBy(...kinds: Socket["kind"][]): SenderOf {
  return (exit, spoken, all, packet) => {
    const lender = all.find((socket) => kinds.includes(socket.kind) && hasEnds(socket, packet));
    return lender === undefined ? senderOf(exit, spoken) : contextOf(lender);
  };
}

function hasEnds({ family, protocol, localPort, remote, remotePort }: Socket, packet: Packet): boolean {
  if (packet.kind !== "ip" || family !== packet.family || protocol !== packet.protocol) return false;
  if (localPort !== packet.sourcePort) return false;
  return remote === null || (remote === packet.destination && remotePort === packet.destinationPort);
}

const isNothing = (exit: Exit) => exit === "nothing";
const isOf = (kind: Socket["kind"]) => (exit: Exit) => typeof exit !== "string" && exit.kind === kind;
const STRANGER: Subject = {
  path: "/nobody",
  script: null,
  container: null,
  ephemeral: false,
  modified: false,
  ancestry: NO_ANCESTRY,
  user: 0,
};

export const SOCKET_MUTANTS: Record<string, SocketJudge> = {
  "a listener lends its rights to what leaves without a socket": bySender(isNothing, lentBy("listener")),
  "a datagram socket lends its rights to a packet socket's frames": bySender(isOf("packet"), lentBy("datagram")),
  "a connection lends its rights to what leaves without a socket": bySender(isNothing, lentBy("half-open", "stream")),
  "a packet socket's frames are of whoever has their port": bySender(
    isOf("packet"),
    lentBy("listener", "datagram", "half-open", "stream"),
  ),
  "what leaves without a socket is the kernel's": bySender(isNothing, () => senderOf("kernel")),
  "a packet socket is taken for one of the kernel's": bySender(isOf("packet"), () => senderOf("kernel")),
  "a raw socket is taken for one of the kernel's": bySender(isOf("raw"), () => senderOf("kernel")),
  "a raw socket is nobody's": bySender(isOf("raw"), () => NOBODY),
  "the answer to a SYN is nobody's": bySender(isOf("half-open"), () => NOBODY),
  "the answer with a cookie is nobody's": bySender(isNothing, () => NOBODY),
  "what a former user has left to be sent is the next one's": ofSockets((socket) => ({ ...socket, former: null })),
  "who has a socket now is not asked": ofSockets((socket) => ({ ...socket, user: socket.creator })),
  "who has made a socket is not asked": ofSockets((socket) => ({ ...socket, creator: socket.user })),
  "a connection that was accepted is the workload's own": ofSockets((socket) => ({ ...socket, accepted: false })),
  "a connection in its middle has its first payload still to come": {
    ...REFERENCE,
    senderOf: (exit) => senderOf(exit),
    receiverOf: (sockets, packet) => receiverOf(sockets, packet),
  },
  "whoever has taken a port over gets what was for the socket before": withoutReceipts(
    ({ kind }, destination) => kind === "datagram" && destination === "own",
  ),
  "every member of a group gets what one may have": withoutReceipts(
    ({ kind }, destination) => kind === "datagram" && destination === "group",
  ),
  "raw sockets listen along": withoutReceipts(({ kind }) => kind === "raw"),
  "nobody may receive what is for a group": {
    ...REFERENCE,
    evaluateReceiver: (state, table, packet, receiver, time) => {
      const isGroup = !state.addresses.has(packet.destination);
      const asked = isGroup ? { ...receiver, user: STRANGER, creator: STRANGER } : receiver;
      return REFERENCE.evaluateReceiver(state, table, packet, asked, time);
    },
  },
};
