/** The other ends of a case's connections: they know their sequence numbers, and say what they are told to. */

import type { IpPacket } from "../../src/policy/packet/packet.ts";
import { parseIp } from "../../src/policy/table/addresses.ts";
import { frame, HOST_MAC, WORKLOAD_MAC } from "../packets/ethernet.ts";
import { ip } from "../packets/ip.ts";
import { tcp } from "../packets/transport.ts";
import type { End } from "./socket-case.ts";

/** Of peers, where they begin. */
const FIRST_SEQUENCE = 1000;

/** A connection as its peer knows it. */
export interface Connection {
  own: End;
  peer: End;
  /** The workload began it. */
  isOutward: boolean;
  /** Next sequence numbers; null: nothing has come from the workload yet. */
  peerNext: number;
  ownNext: number | null;
}

export class Peers {
  readonly #connections = new Map<number, Connection>();

  /** One that begins. The peer knows of it once it is kept. */
  static begin(own: End, peer: End, isOutward: boolean): Connection {
    return { own, peer, isOutward, peerNext: FIRST_SEQUENCE, ownNext: null };
  }

  keep(slot: number, connection: Connection): void {
    this.#connections.set(slot, connection);
  }

  /** The connection of a slot, if its peer has heard from the workload. */
  get(slot: number): Connection | null {
    const connection = this.#connections.get(slot);
    return connection === undefined || connection.ownNext === null ? null : connection;
  }

  /** A listener is gone: its peers say no more. */
  forget(port: number): void {
    for (const [slot, { own, isOutward }] of this.#connections) {
      if (own.port === port && !isOutward) this.#connections.delete(slot);
    }
  }

  /** Takes note of where the workload's side is. */
  follow({ tcp: segment, sourcePort, destinationPort, destination, payload }: IpPacket): void {
    for (const connection of this.#connections.values()) {
      const isOf = connection.own.port === sourcePort && connection.peer.port === destinationPort;
      if (!isOf || segment === null || parseIp(connection.peer.address) !== destination) continue;
      connection.ownNext = (segment.sequence + payload.length) >>> 0;
    }
  }
}

/** What the peer says next: its part of the handshake first. @returns the frame, and how far it takes the peer */
export function nextSegment(connection: Connection, payload: number[]): { frame: Buffer; length: number } {
  const { isOutward, peerNext } = connection;
  if (peerNext === FIRST_SEQUENCE) return { frame: segment(connection, isOutward ? "SA" : "S", []), length: 1 };
  const flags = payload.length > 0 ? "PA" : "A";
  return { frame: segment(connection, flags, payload), length: payload.length };
}

function segment({ own, peer, peerNext, ownNext }: Connection, flags: string, payload: number[]): Buffer {
  const fields = { from: peer.port, to: own.port, flags, sequence: peerNext, acknowledgement: ownNext ?? 0 };
  const packet = ip({ from: peer.address, to: own.address }, tcp(fields, payload));
  return frame(packet, { source: HOST_MAC, destination: WORKLOAD_MAC });
}
