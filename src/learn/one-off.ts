/** Ports and names that were made up for one use: a rule for one of them allows nothing that will happen again. */
import { parentName } from "./generalize.ts";
import type { Observation } from "./recording.ts";

/** First port that Linux chooses for a socket by itself (ip_local_port_range); IANA's dynamic ports begin later. */
const EPHEMERAL_FIRST = 32_768;
/** A server that only root may start does not listen there: FTP's data connections may (RFC 959, 3.2 with RFC 1579). */
const UNPRIVILEGED_FIRST = 1024;
const FTP_PORT = 21;
/** So many different ones of a kind are no coincidence. */
const KIND_MIN = 3;
/** All of one use of a name: a question for each family, and again where the answer was late. */
const BURST_MS = 10_000;
/** Long, and of the characters of a hash, a number or an encoded text. */
const RANDOM_LABEL = /^(?=[a-z0-9_-]{20,63}$)(?=(?:.*\d){4})/;

/** Those of one process that have a one-off port. */
export function withOneOffPorts(observations: readonly Observation[]): Set<Observation> {
  const found = new Set<Observation>();
  for (const group of Map.groupBy(observations, peerKey).values()) {
    for (const observation of group) if (isFtpData(observation, group)) found.add(observation);
    const high = group.filter(({ port }) => port !== null && port >= EPHEMERAL_FIRST);
    const byPort = Map.groupBy(high, ({ port }) => port);
    const once = [...byPort.values()].filter((same) => timesOf(same) === 1).flat();
    if (once.length >= KIND_MIN) for (const observation of once) found.add(observation);
  }
  return found;
}

/** Peers of ingress come and go; what counts there is the workload's own port. */
function peerKey({ direction, peer, protocol }: Observation): string {
  return direction === "egress" ? `${direction} ${peer} ${protocol}` : `${direction} ${protocol}`;
}

/** A passive transfer: to an unprivileged port of a server whose FTP port the same process uses. */
function isFtpData({ direction, protocol, port }: Observation, group: readonly Observation[]): boolean {
  if (direction !== "egress" || protocol !== "tcp" || port === null || port < UNPRIVILEGED_FIRST) return false;
  return group.some((other) => other.port === FTP_PORT);
}

function timesOf(same: readonly Observation[]): number {
  return same.reduce((sum, { evidence }) => sum + evidence.times, 0);
}

/** Names of one process that were used in one go, and look made up; such as data in questions, or a token. */
export function oneOffNames(observations: readonly Observation[]): Set<string> {
  const uses = observations.flatMap((observation) => namesOf(observation).map((name) => ({ name, observation })));
  const names = Map.groupBy(uses, ({ name }) => name);
  const random = [...names].filter(
    ([name, same]) => RANDOM_LABEL.test(name.split(".", 1)[0] as string) && isBurst(same.map((use) => use.observation)),
  );
  const siblings = Map.groupBy(random, ([name]) => parentName(name));
  const groups = [...siblings.values()].filter(({ length }) => length >= KIND_MIN);
  return new Set(groups.flat().map(([name]) => name));
}

/** The name that was asked for, or connected to. */
export function namesOf({ name, question }: Observation): string[] {
  return [name, question?.name ?? null].filter((item) => item !== null);
}

function isBurst(same: readonly Observation[]): boolean {
  const times = same.flatMap(({ evidence }) => [Date.parse(evidence.first), Date.parse(evidence.last)]);
  return Math.max(...times) - Math.min(...times) <= BURST_MS;
}
