/** Runs a case with real sockets through the kernel and the reference evaluator, and tells where they differ. */
import type { Direction, Verdict } from "../../src/api/reasons.ts";
import type { IpPacket, Packet } from "../../src/policy/packet/packet.ts";
import { parsePacket } from "../../src/policy/packet/packet-parser.ts";
import { evaluate } from "../../src/policy/reference/evaluate.ts";
import { evaluateReceiver } from "../../src/policy/reference/evaluate-receiver.ts";
import type { Exit, Socket } from "../../src/policy/reference/sockets.ts";
import * as sockets from "../../src/policy/reference/sockets.ts";
import { createState, type EvaluatorState } from "../../src/policy/reference/state.ts";
import { formatIp, parseIp } from "../../src/policy/table/addresses.ts";
import type { RuleTable } from "../../src/policy/table/tables.ts";
import type { LiveHarness } from "../harness/live-harness.ts";
import { internetAddress, linkAddress, OPTION, sendTo, setOption } from "../harness/native-sockets.ts";
import { HOST_MAC, WORKLOAD_MAC } from "../packets/ethernet.ts";
import { PROTOCOL } from "../packets/transport.ts";
import { compilePolicies } from "./case.ts";
import type { Comparison, Difference } from "./compare/compare.ts";
import { compareCounters, type ExpectedCounters } from "./compare/compare-counters.ts";
import { compareStates } from "./compare/compare-states.ts";
import { haveSameEnds, isForged, isSentBy, parseCaptured } from "./departures.ts";
import { offloadHeader } from "./offload.ts";
import { nextSegment, Peers } from "./peers.ts";
import type { SocketCase, SocketStep } from "./socket-case.ts";
import { WorkloadSockets } from "./workload-sockets.ts";
import { OWN_ADDRESSES } from "./world.ts";

/** What knows whose packets are whose: the reference, or one with a fault. */
export interface SocketJudge {
  evaluate: typeof evaluate;
  evaluateReceiver: typeof evaluateReceiver;
  /** The reference needs neither the workload's sockets nor the packet. */
  senderOf: (exit: Exit, spoken: boolean, all: readonly Socket[], packet: Packet) => sockets.SocketContext;
  receiverOf: typeof sockets.receiverOf;
}

export const REFERENCE: SocketJudge = {
  evaluate,
  evaluateReceiver,
  senderOf: sockets.senderOf,
  receiverOf: sockets.receiverOf,
};

/** How long a packet may take to where it is counted, ms. */
const PATIENCE_MS = 300;
const NS_PER_S = 1e9;
const BROADCASTS = ["255.255.255.255", "10.0.0.255"];
const pause = new Int32Array(new SharedArrayBuffer(4));

/** By what a packet leaves differs by kernel: nothing can be said of the case from there on. */
class Ambiguity extends Error {}

export class SocketRun {
  readonly #live: LiveHarness;
  readonly #case: SocketCase;
  readonly #tables: RuleTable[];
  readonly #judge: SocketJudge;
  readonly #sockets: WorkloadSockets;
  readonly #state: EvaluatorState;
  readonly #counters: ExpectedCounters = new Map();
  readonly #reasons = new Map<string, number>();
  readonly #peers = new Peers();
  #table: RuleTable;
  #tableId = 0;
  #hasCookies = false;
  #packets = 0;
  /** Who sends what the step that is under way makes leave; null: nobody that can be known beforehand. */
  #sender: ((packet: IpPacket, isLast: boolean) => Exit | null) | null = null;

  constructor(live: LiveHarness, found: SocketCase, tables: RuleTable[], judge: SocketJudge) {
    this.#live = live;
    this.#case = found;
    this.#tables = tables;
    this.#judge = judge;
    this.#sockets = new WorkloadSockets(live);
    this.#table = tables[0] as RuleTable;
    this.#state = createState({
      addresses: OWN_ADDRESSES.map((address) => parseIp(address) as bigint),
      macs: [WORKLOAD_MAC],
    });
  }

  run(): Comparison {
    const { harness } = this.#live;
    this.#setCookies(false);
    this.#live.setOffload(true);
    // Until nothing comes meanwhile of what the case before has left behind.
    do {
      harness.apply("unrestricted");
      harness.clear();
      this.#live.captured();
      this.#tableId = harness.apply(this.#table);
    } while (this.#live.captured().length > 0);
    harness.collectTables();
    try {
      return { difference: this.#runSteps(), packets: this.#packets, reasons: this.#reasons };
    } catch (error) {
      if (error instanceof Ambiguity) return { difference: null, packets: this.#packets, reasons: this.#reasons };
      throw error;
    } finally {
      this.#sockets.closeAll();
    }
  }

  #runSteps(): Difference | null {
    for (const [index, step] of this.#case.steps.entries()) {
      const difference = this.#settle(index) ?? this.#step(index, step);
      if (difference !== null) return difference;
    }
    const length = this.#case.steps.length;
    const difference =
      this.#settle(length) ??
      compareStates(this.#live.harness, this.#state, { rules: this.#table, id: this.#tableId }, 0);
    return difference && { ...difference, step: length };
  }

  #step(index: number, step: SocketStep): Difference | null {
    this.#sender = null;
    const closed = this.#act(step);
    if (closed !== null) this.#sender = (packet) => (isSentBy(closed, packet) ? closed : null);
    const difference = this.#settle(index);
    this.#sender = null;
    return difference;
  }

  /** @returns the socket that the step has closed */
  #act(step: SocketStep): Socket | null {
    switch (step.kind) {
      case "open":
        this.#open(step);
        return null;
      case "close":
        return this.#close(step.slot);
      case "hand":
        this.#sockets.hand(step.slot, step.owners);
        this.#state.epoch += 1;
        this.#live.startEpoch();
        return null;
      case "send":
        this.#send(step);
        return null;
      case "forge":
        this.#forge(step);
        return null;
      case "deliver":
        this.#deliver(Buffer.from(step.frame, "hex"));
        return null;
      case "call":
        this.#call(step);
        return null;
      case "go-on":
        this.#goOn(step);
        return null;
      case "cookies":
        this.#setCookies(step.on);
        return null;
      case "offload":
        this.#live.setOffload(step.on);
        return null;
      case "evict":
        this.#live.harness.evict("flows");
        this.#state.flows.clear();
        return null;
      case "epoch":
        this.#live.startEpoch();
        this.#state.epoch += 1;
        return null;
      case "policy":
        this.#table = this.#tables[step.index] as RuleTable;
        this.#tableId = this.#live.harness.apply(this.#table);
        return null;
    }
  }

  #setCookies(on: boolean): void {
    this.#live.setCookies(on);
    this.#hasCookies = on;
  }

  #open(step: Extract<SocketStep, { kind: "open" }>): void {
    if (!this.#sockets.open(step) || step.what !== "stream" || step.peer === undefined) return;
    this.#peers.keep(step.slot, Peers.begin(step.local, step.peer, true));
  }

  #close(slot: number): Socket | null {
    const closed = this.#sockets.close(slot);
    if (closed?.kind === "listener") this.#peers.forget(closed.localPort);
    return closed;
  }

  #send({ slot, payload, to, segment }: Extract<SocketStep, { kind: "send" }>): void {
    const held = this.#sockets.get(slot);
    if (held === undefined || held.fd < 0 || held.socket.kind === "packet") return;
    const { socket, fd } = held;
    this.#sender = (packet) => (isSentBy(socket, packet) ? socket : null);
    if (socket.kind === "datagram") setOption(fd, OPTION.udpSegment, segment ?? 0);
    const bytes = Buffer.from(payload, "hex");
    const destination = to === undefined ? null : internetAddress(to.address, socket.kind === "raw" ? 0 : to.port);
    sendTo(fd, bytes, socket.remote === null ? destination : null);
  }

  /** What a TCP frame is cut into has no socket, but for the last piece; of UDP each has it (__udp_gso_segment). */
  #forge({ slot, frame: hex, offload }: Extract<SocketStep, { kind: "forge" }>): void {
    const held = this.#sockets.get(slot);
    if (held === undefined || held.socket.kind !== "packet") return;
    const bytes = Buffer.from(hex, "hex");
    const forged = parsePacket(bytes);
    this.#sender = (packet, isLast) => {
      if (forged.kind !== "ip" || packet.kind !== "ip" || !haveSameEnds(forged, packet)) return null;
      return isLast || packet.protocol === PROTOCOL.udp ? held.socket : "nothing";
    };
    const header = offloadHeader(bytes, offload);
    sendTo(held.fd, Buffer.concat([header, bytes]), linkAddress(this.#live.insideIfindex, HOST_MAC));
  }

  #deliver(bytes: Buffer): Verdict {
    const packet = parsePacket(bytes);
    const receiver = packet.kind === "ip" ? sockets.findReceiver(this.#sockets.all, packet) : null;
    const spoken = receiver !== null && this.#sockets.hasSpoken(receiver);
    const context = this.#judge.receiverOf(this.#sockets.all, packet, spoken);
    const verdict = this.#expect("ingress", packet, context, bytes.length);
    if (verdict !== "dropped" && packet.kind === "ip") this.#expectReceipts(packet);
    this.#live.deliver(bytes);
    return verdict;
  }

  #expectReceipts(packet: IpPacket): void {
    if (this.#state.policyState !== "restricted") return;
    const time = now();
    for (const socket of this.#receiversOf(packet)) {
      const receipt = this.#judge.evaluateReceiver(this.#state, this.#table, packet, socket, time);
      if (receipt !== null) this.#count("ingress", receipt, packet.length);
    }
  }

  #receiversOf(packet: IpPacket): Socket[] {
    const destination = formatIp(packet.destination);
    const isOwn = this.#state.addresses.has(packet.destination);
    if (!isOwn && !this.#sockets.groups.has(destination) && !BROADCASTS.includes(destination)) return [];
    const { all } = this.#sockets;
    const raw = all.filter((socket) => sockets.listensAlong(socket, packet));
    if (packet.protocol !== PROTOCOL.udp) return raw;
    if (!isOwn) return [...raw, ...all.filter((socket) => sockets.isMember(socket, packet))];
    const one = sockets.findReceiver(all, packet);
    return one === null ? raw : [...raw, one];
  }

  /** A peer's SYN. */
  #call({ slot, listener, peer }: Extract<SocketStep, { kind: "call" }>): void {
    const connection = Peers.begin(listener, peer, false);
    const { frame: bytes, length } = nextSegment(connection, []);
    const packet = parsePacket(bytes) as IpPacket;
    const found = sockets.findReceiver(this.#sockets.all, packet);
    if (this.#deliver(bytes) === "dropped") return;
    connection.peerNext += length;
    this.#peers.keep(slot, connection);
    if (found?.kind === "listener" && !this.#hasCookies) this.#sockets.begin(slot, found, packet);
  }

  #goOn({ slot, payload }: Extract<SocketStep, { kind: "go-on" }>): void {
    const connection = this.#peers.get(slot);
    if (connection === null) return;
    const { frame: bytes, length } = nextSegment(connection, [...Buffer.from(payload, "hex")]);
    if (this.#deliver(bytes) === "dropped") return;
    connection.peerNext += length;
    if (!connection.isOutward) this.#sockets.accept(slot, parsePacket(bytes) as IpPacket);
  }

  /** Judges what has left, until as much has been counted as should be. */
  #settle(step: number): Difference | null {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      this.#judgeCaptured();
      const difference = compareCounters(this.#live.harness.maps, this.#counters);
      if (difference === null) return null;
      if (Date.now() > deadline) return { ...difference, step };
      Atomics.wait(pause, 0, 0, 1);
    }
  }

  #judgeCaptured(): void {
    const frames = this.#live.captured();
    for (const [index, { frame: bytes, gsoSize }] of frames.entries()) {
      const packet = parseCaptured(bytes, gsoSize);
      const exit = this.#exitOf(packet, index === frames.length - 1);
      if (exit === null) throw new Ambiguity();
      const spoken = typeof exit !== "string" && this.#sockets.hasSpoken(exit);
      this.#expect("egress", packet, this.#judge.senderOf(exit, spoken, this.#sockets.all, packet), bytes.length);
      if (packet.kind === "ip" && packet.tcp !== null && !isForged(exit)) this.#peers.follow(packet);
    }
  }

  /** Null: that differs by kernel. */
  #exitOf(packet: Packet, isLast: boolean): Exit | null {
    if (packet.kind !== "ip" || packet.protocol === PROTOCOL.igmp) return "nothing";
    const sender = this.#sender?.(packet, isLast) ?? null;
    if (sender !== null) return sender;
    return packet.protocol === PROTOCOL.tcp ? this.#sockets.exitOf(packet, this.#hasCookies) : "kernel";
  }

  #expect(direction: Direction, packet: Packet, context: sockets.SocketContext, bytes: number): Verdict {
    const judgement = this.#judge.evaluate(this.#state, this.#table, packet, { direction, ...context }, now());
    this.#packets += 1;
    if (this.#state.policyState !== "unrestricted") this.#count(direction, judgement, bytes);
    return judgement.verdict;
  }

  #count(direction: Direction, { reason, verdict }: { reason: string; verdict: Verdict }, bytes: number): void {
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    const counter = `${direction} ${reason} ${verdict}`;
    const before = this.#counters.get(counter) ?? { packets: 0, bytes: 0 };
    this.#counters.set(counter, { packets: before.packets + 1, bytes: before.bytes + bytes });
  }
}

/**
 * Runs a case through both. Real packets come when they come: a difference is one if it shows a second time.
 * @returns null if the case's profiles are refused
 */
export function compareSocketCase(live: LiveHarness, found: SocketCase, judge = REFERENCE): Comparison | null {
  const tables = compilePolicies(found.policies);
  if (tables === null || !found.steps.every((step) => step.kind !== "policy" || step.index < tables.length))
    return null;
  const run = () => new SocketRun(live, found, tables, judge).run();
  const first = run();
  return first.difference === null ? first : run();
}

function now(): number {
  return Number(process.hrtime.bigint()) / NS_PER_S;
}
