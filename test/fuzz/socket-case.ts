/** A case with real sockets: what they do, what comes to them, and what others send in their name. Plain JSON. */
import type { Owners } from "../harness/live-harness.ts";
import type { Policy } from "./case.ts";

/** An address and a port. */
export interface End {
  address: string;
  port: number;
}

export interface OpenStep {
  kind: "open";
  slot: number;
  what: "datagram" | "listener" | "stream" | "raw" | "packet";
  /** Of its own side; the address is unspecified if it takes any. A raw socket's port is its protocol. */
  local: End;
  /** Whom it connects to. */
  peer?: End;
  /** That it joins. */
  group?: string;
  owners: Owners;
}

export type SocketStep =
  | OpenStep
  | { kind: "close"; slot: number }
  /** Another process uses it now. */
  | { kind: "hand"; slot: number; owners: Owners }
  /** Hex. `segment`: so many bytes in each datagram that leaves. A raw socket's payload is a packet of IPv4. */
  | { kind: "send"; slot: number; payload: string; to?: End; segment?: number }
  /** By a packet socket: any frame (hex), which is cut into pieces of so many bytes. */
  | { kind: "forge"; slot: number; frame: string; offload?: number }
  /** From the wire. */
  | { kind: "deliver"; frame: string }
  /** A peer begins a connection, which has the slot if it is made. */
  | { kind: "call"; slot: number; listener: End; peer: End }
  /** Its other side goes on: with the handshake, and then with these bytes (hex), or an acknowledgement. */
  | { kind: "go-on"; slot: number; payload: string }
  /** SYN cookies instead of half-open connections. */
  | { kind: "cookies"; on: boolean }
  /** Whether the device cuts up what is offloaded to it; its kernel does otherwise. */
  | { kind: "offload"; on: boolean }
  | { kind: "evict" }
  | { kind: "epoch" }
  | { kind: "policy"; index: number };

export interface SocketCase {
  /** What the case showed when it was found. */
  about?: string;
  policies: Policy[];
  steps: SocketStep[];
}
