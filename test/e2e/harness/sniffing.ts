/** Whether something gets out: seen by a sniffer on the far side of the node. */
import { randomBytes } from "node:crypto";
import { frame } from "../../packets/ethernet.ts";
import type { Fixture } from "./fixture.ts";
import { patiently } from "./patience.ts";
import { macOf, type WorkloadPlace } from "./topology.ts";

/** How long to look for it once it has been sent, ms. */
const SNIFF_MS = 400;
/** To send it, ms. */
const SEND_MS = 10_000;

/**
 * Whether a text that is sent from somewhere arrives outside.
 * @param sniffer any copy of the test client
 * @param options `length`: of the text, for what has room for so many bytes.
 */
export async function leaves(
  fixture: Fixture,
  sniffer: string,
  send: (text: string) => Promise<unknown>,
  { length }: { length?: number } = {},
): Promise<boolean> {
  const text = length === undefined ? fixture.tag() : randomBytes(length).toString("hex").slice(0, length);
  const sniffing = fixture.start(fixture.topology.outside, sniffer, `timeout ${patiently(SEND_MS)} sniff eth0 ${text}`);
  await sniffing.line("sniffing");
  await send(text);
  return sniffing.succeeds(SNIFF_MS);
}

/** A packet as a frame from a workload to its gateway, hex. */
export function framed(fixture: Fixture, from: WorkloadPlace, packet: number[]): string {
  const macs = { source: macOf(from, "eth0"), destination: macOf(fixture.topology.node, from.hostInterface) };
  return frame(packet, macs).toString("hex");
}
