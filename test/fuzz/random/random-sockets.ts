/** Random cases with real sockets: programs that open, use and hand them on, peers, and somebody who forges. */
import { Random } from "../../../src/policy/testing/random.ts";
import type { ProcessRef } from "../../harness/classifier-harness.ts";
import type { Owners } from "../../harness/live-harness.ts";
import { BROADCAST_MAC, frame, HOST_MAC, WORKLOAD_MAC } from "../../packets/ethernet.ts";
import { ip } from "../../packets/ip.ts";
import { HTTP_REQUEST, SSH_BANNER } from "../../packets/payloads.ts";
import { PROTOCOL, ping, ping6, type Transport, tcp, udp } from "../../packets/transport.ts";
import type { End, OpenStep, SocketCase, SocketStep } from "../socket-case.ts";
import { OWN4, OWN6, PATHS, STRANGER } from "../world.ts";
import { randomSocketPolicy, SERVICES } from "./random-socket-policy.ts";

const PEERS: Record<"ipv4" | "ipv6", readonly string[]> = {
  ipv4: ["192.0.2.7", "192.0.2.8"],
  ipv6: ["2001:db8::7", "2001:db8:1::8"],
};
const OWN = { ipv4: OWN4, ipv6: OWN6 } as const;
const ANY = { ipv4: "0.0.0.0", ipv6: "::" } as const;
const GROUPS = { ipv4: "239.1.2.3", ipv6: "ff15::1234" } as const;
const BROADCASTS = ["255.255.255.255", "10.0.0.255"] as const;
const CLIENTS = [41000, 41001] as const;
const STEPS_MAX = 24;
const SLOTS = 6;
const FIRST_CONNECTION = 10;
const CONNECTIONS = 3;
/** The packet socket of who forges. */
const FORGER = 20;

type Family = "ipv4" | "ipv6";

export function randomSocketCase(seed: number): SocketCase {
  return new RandomSockets(new Random(seed)).make();
}

class RandomSockets {
  readonly #random: Random;
  readonly #opened: OpenStep[] = [];
  readonly #called: { slot: number; listener: End; peer: End }[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  make(): SocketCase {
    const random = this.#random;
    const policies = Array.from({ length: 1 + random.below(2) }, () => randomSocketPolicy(random));
    const steps: SocketStep[] = [this.#forger()];
    if (random.chance(0.5)) steps.push({ kind: "offload", on: false });
    const length = steps.length + 1 + random.below(STEPS_MAX);
    if (random.chance(0.4))
      steps.push(...random.pick([this.#takeOver, this.#middle, this.#handOver, this.#group]).call(this));
    while (steps.length < length) steps.push(...this.#steps(policies.length));
    return { policies, steps };
  }

  #steps(policies: number): SocketStep[] {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 22 || this.#opened.length === 0) return this.#open();
    if (kind < 42) return this.#send();
    if (kind < 58) return [this.#deliver()];
    if (kind < 74) return this.#connection();
    if (kind < 86) return [this.#forge()];
    if (kind < 93) return [{ kind: "hand", slot: random.below(SLOTS), owners: this.#owners(true) }];
    return [this.#event(policies)];
  }

  #event(policies: number): SocketStep {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        return { kind: "evict" };
      case 1:
        return { kind: "epoch" };
      case 2:
        return { kind: "policy", index: random.below(policies) };
      case 3:
        return { kind: "cookies", on: random.chance(0.6) };
      default:
        return {
          kind: "close",
          slot: random.pick([random.below(SLOTS), FIRST_CONNECTION + random.below(CONNECTIONS)]),
        };
    }
  }

  #forger(): SocketStep {
    const nobody = { path: STRANGER };
    return {
      kind: "open",
      slot: FORGER,
      what: "packet",
      local: { address: ANY.ipv4, port: 0 },
      owners: { creator: nobody, user: nobody },
    };
  }

  #process(): ProcessRef {
    const random = this.#random;
    return {
      path: random.chance(0.2) ? STRANGER : random.pick(PATHS),
      ...(random.chance(0.08) ? { modified: true } : {}),
    };
  }

  #owners(isHanded: boolean): Owners {
    const random = this.#random;
    const user = this.#process();
    const creator = isHanded || random.chance(0.15) ? this.#process() : user;
    return { creator, user, ...(isHanded && random.chance(0.5) ? { former: this.#process() } : {}) };
  }

  #family(): Family {
    return this.#random.chance(0.65) ? "ipv4" : "ipv6";
  }

  #open(): SocketStep[] {
    const random = this.#random;
    const family = this.#family();
    const what = random.pick(["datagram", "datagram", "datagram", "listener", "listener", "stream", "raw"] as const);
    const isConnected = what === "stream" || (what === "datagram" && random.chance(0.35));
    const address = isConnected || random.chance(0.4) ? OWN[family] : ANY[family];
    const port = what === "raw" ? this.#rawProtocol(family) : random.pick(isConnected ? CLIENTS : SERVICES);
    const step: OpenStep = {
      kind: "open",
      slot: random.below(SLOTS),
      what,
      local: { address, port },
      ...(isConnected ? { peer: this.#peer(family) } : {}),
      ...(what === "datagram" && !isConnected && random.chance(0.3) ? { group: GROUPS[family] } : {}),
      owners: this.#owners(false),
    };
    this.#opened.push(step);
    return [step];
  }

  /** Somebody else binds a port whose flows are known. */
  #takeOver(): SocketStep[] {
    const random = this.#random;
    const family = this.#family();
    const port = random.pick(SERVICES);
    const bound = (slot: number, address: string): OpenStep => {
      const owners = this.#owners(false);
      return { kind: "open", slot, what: "datagram", local: { address, port }, owners };
    };
    const first = bound(0, ANY[family]);
    const second = bound(1, random.pick([ANY[family], OWN[family]]));
    this.#opened.push(first, second);
    const asking = udp({ from: CLIENTS[0], to: port }, this.#payload());
    const packet = ip({ from: PEERS[family][0] as string, to: OWN[family] }, asking);
    const asked: SocketStep = {
      kind: "deliver",
      frame: frame(packet, { source: HOST_MAC, destination: WORKLOAD_MAC }).toString("hex"),
    };
    const ends: SocketStep[] = random.chance(0.5) ? [{ kind: "close", slot: 0 }] : [];
    return [first, asked, ...ends, second, asked];
  }

  /** Several listen to one group. */
  #group(): SocketStep[] {
    const family = this.#family();
    const local = { address: ANY[family], port: SERVICES[0] };
    const members = [0, 1].map((slot): OpenStep => {
      return { kind: "open", slot, what: "datagram", local, group: GROUPS[family], owners: this.#owners(false) };
    });
    this.#opened.push(...members);
    const said = udp({ from: CLIENTS[0], to: SERVICES[0] }, HTTP_REQUEST);
    const packet = ip({ from: PEERS[family][0] as string, to: GROUPS[family] }, said);
    const bytes = frame(packet, { source: HOST_MAC, destination: BROADCAST_MAC });
    return [...members, { kind: "deliver", frame: bytes.toString("hex") }];
  }

  /** A socket is used by one after the other, and the first has left something to be sent. */
  #handOver(): SocketStep[] {
    const random = this.#random;
    const family = this.#family();
    const owner = { path: random.pick(PATHS) };
    const local = { address: ANY[family], port: SERVICES[0] };
    const open: OpenStep = { kind: "open", slot: 0, what: "datagram", local, owners: { creator: owner, user: owner } };
    this.#opened.push(open);
    const send: SocketStep = { kind: "send", slot: 0, payload: hex(HTTP_REQUEST), to: this.#peer(family) };
    const owners = { creator: owner, user: owner, former: this.#process() };
    return [open, send, { kind: "hand", slot: 0, owners }, send];
  }

  /** A connection goes on, whose flow has been forgotten. */
  #middle(): SocketStep[] {
    const random = this.#random;
    const family = this.#family();
    const port = random.pick(SERVICES);
    const owners = this.#owners(false);
    const listener: OpenStep = {
      kind: "open",
      slot: 0,
      what: "listener",
      local: { address: ANY[family], port },
      owners,
    };
    const slot = FIRST_CONNECTION;
    const call = {
      slot,
      listener: { address: OWN[family], port },
      peer: { address: PEERS[family][0] as string, port: 50000 + slot },
    };
    this.#opened.push(listener);
    this.#called.push(call);
    const says = (payload: readonly number[]): SocketStep =>
      random.chance(0.5)
        ? { kind: "go-on", slot, payload: hex(payload) }
        : { kind: "send", slot, payload: hex(payload) };
    const forgets: SocketStep[] = random.chance(0.7) ? [{ kind: "evict" }] : [];
    const cookies: SocketStep[] = random.chance(0.3) ? [{ kind: "cookies", on: true }] : [];
    const begins: SocketStep[] = [
      listener,
      ...cookies,
      { kind: "call", ...call },
      { kind: "go-on", slot, payload: "" },
    ];
    return [...begins, { kind: "go-on", slot, payload: hex(HTTP_REQUEST) }, ...forgets, says(SSH_BANNER)];
  }

  #rawProtocol(family: Family): number {
    return this.#random.pick([PROTOCOL.udp, PROTOCOL.tcp, family === "ipv4" ? PROTOCOL.icmp : PROTOCOL.icmpv6]);
  }

  #peer(family: Family): End {
    const random = this.#random;
    return { address: random.pick(PEERS[family]), port: random.pick([...SERVICES, ...CLIENTS]) };
  }

  #payload(): number[] {
    return this.#random.pick([HTTP_REQUEST, SSH_BANNER, [1, 2, 3, 4], Array(200).fill(7)]);
  }

  #send(): SocketStep[] {
    const random = this.#random;
    if (random.chance(0.25)) {
      const { slot } = random.chance(0.7) ? this.#connectionSlot() : { slot: random.below(SLOTS) };
      return [{ kind: "send", slot, payload: hex(this.#payload()) }];
    }
    const { slot, what, local } = random.pick(this.#opened);
    const family = familyOf(local);
    const to = this.#peer(family);
    if (what === "raw" && family === "ipv4") {
      const packet = ip({ from: OWN4, to: to.address }, this.#transport(family, "egress"));
      return [{ kind: "send", slot, payload: hex(packet), to }];
    }
    const segment = random.chance(0.15) ? { segment: random.pick([20, 64]) } : {};
    return [{ kind: "send", slot, payload: hex(this.#payload()), to, ...segment }];
  }

  #connectionSlot(): { slot: number } {
    return { slot: FIRST_CONNECTION + this.#random.below(CONNECTIONS) };
  }

  /** To a socket, to where one was, or to a group. */
  #deliver(): SocketStep {
    const random = this.#random;
    const family = this.#family();
    const groups = family === "ipv4" ? [GROUPS.ipv4, ...BROADCASTS] : [GROUPS.ipv6];
    const isGroup = random.chance(0.3);
    const to = isGroup ? random.pick(groups) : OWN[family];
    const transport = isGroup ? this.#datagram("ingress") : this.#transport(family, "ingress");
    const destination = isGroup && random.chance(0.5) ? BROADCAST_MAC : WORKLOAD_MAC;
    const packet = ip({ from: random.pick(PEERS[family]), to }, transport);
    return { kind: "deliver", frame: frame(packet, { source: HOST_MAC, destination }).toString("hex") };
  }

  #transport(family: Family, direction: "egress" | "ingress"): Transport {
    const random = this.#random;
    if (random.chance(0.12)) return family === "ipv4" ? ping(random.below(2)) : ping6(random.below(2));
    if (random.chance(0.7)) return this.#datagram(direction);
    const [from, to] = this.#ports(direction);
    return tcp({ from, to, flags: random.pick(["PA", "A", "R"]), sequence: 1000 }, random.chance(0.5) ? [1, 2, 3] : []);
  }

  #datagram(direction: "egress" | "ingress"): Transport {
    const [from, to] = this.#ports(direction);
    return udp({ from, to }, this.#payload());
  }

  #ports(direction: "egress" | "ingress"): [number, number] {
    const random = this.#random;
    const ports = [random.pick([...SERVICES, ...CLIENTS]), random.pick([...SERVICES, ...CLIENTS])] as [number, number];
    const known = random.chance(0.6) ? random.pick(this.#opened) : null;
    if (known?.peer !== undefined)
      return direction === "egress" ? [known.local.port, known.peer.port] : [known.peer.port, known.local.port];
    return ports;
  }

  #connection(): SocketStep[] {
    const random = this.#random;
    const { slot } = random.chance(0.75) ? this.#connectionSlot() : { slot: random.below(SLOTS) };
    const known = this.#called.find((call) => call.slot === slot);
    if (known === undefined && slot >= FIRST_CONNECTION) return [this.#call(slot)];
    const payload = random.chance(0.6) ? hex(this.#payload()) : "";
    return [{ kind: "go-on", slot, payload }];
  }

  #call(slot: number): SocketStep {
    const random = this.#random;
    const listeners = this.#opened.filter(({ what }) => what === "listener");
    const family = listeners.length > 0 && random.chance(0.9) ? familyOf(random.pick(listeners).local) : this.#family();
    const port = listeners.length > 0 ? random.pick(listeners).local.port : random.pick(SERVICES);
    const call = {
      slot,
      listener: { address: OWN[family], port },
      peer: { address: random.pick(PEERS[family]), port: 50000 + slot },
    };
    this.#called.push(call);
    return { kind: "call", ...call };
  }

  /** In the name of somebody's socket, with its ends if it is connected; often to be cut up by the kernel. */
  #forge(): SocketStep {
    const random = this.#random;
    const call = this.#called.length > 0 && random.chance(0.4) ? random.pick(this.#called) : null;
    const open = random.pick(this.#opened);
    const own = call?.listener ?? { address: OWN[familyOf(open.local)], port: open.local.port };
    const peer = call?.peer ?? open.peer ?? this.#peer(familyOf(own));
    const payload = random.pick([HTTP_REQUEST, Array(300).fill(9)]);
    const ends = { from: own.port, to: peer.port };
    const isTcp = call !== null || open.what === "listener" || open.what === "stream";
    const transport = isTcp
      ? tcp({ ...ends, flags: random.pick(["A", "PA", "A", "S", "R"]), sequence: 5 }, random.chance(0.9) ? payload : [])
      : udp(ends, payload);
    const bytes = frame(ip({ from: own.address, to: peer.address }, transport)).toString("hex");
    const offload = random.chance(0.7) ? { offload: random.pick([60, 100]) } : {};
    return { kind: "forge", slot: FORGER, frame: bytes, ...offload };
  }
}

function familyOf({ address }: End): Family {
  return address.includes(":") ? "ipv6" : "ipv4";
}

function hex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString("hex");
}
