/** Which rules judge a process, and what their layers say (docs/verdicts.md; docs/profiles.md, Rules). */
import type { Direction, Reason } from "../../api/reasons.ts";
import { type Address, familyAddress } from "../table/addresses.ts";
import { allBlocks, ancestryMask, findBinary, nameMasks, peerMask, portMask, userMask } from "../table/lookup.ts";
import { reverseName } from "../table/names.ts";
import type { Family } from "../table/prefixes.ts";
import { EMPTY_RULESET } from "../table/rulesets.ts";
import type { Subject } from "../table/subject.ts";
import type { BlockMask, RuleTable } from "../table/tables.ts";
import type { Application } from "./applications.ts";
import { type EvaluatorState, learnedKey, learnerKey, type Rights } from "./state.ts";

/** What the layers up to L4 look at. `port` is the service's: remote for egress, local for ingress. */
export interface Destination {
  family: Family;
  remote: Address;
  protocol: number;
  port: number;
}

/** The rules of a subject; null stands for traffic of no process. A rule set of `default` where nothing else applies. */
export function rightsOf(table: RuleTable, subject: Subject | null, direction: Direction): Rights {
  const scripted = subject?.script ? findBinary(table, subject.script, subject) : null;
  const path = scripted ? (subject?.script ?? null) : (subject?.path ?? null);
  const binary = scripted ?? (subject?.path ? findBinary(table, subject.path, subject) : null);
  if (binary !== null) {
    const ruleset = binary.rules[direction];
    const unchanged = subject?.modified ? ruleset.anyBinary : allBlocks(ruleset);
    const descended = unchanged & ancestryMask(ruleset, subject?.ancestry ?? null);
    const mask = descended & userMask(ruleset, subject?.user ?? null);
    if (mask !== 0n || (ruleset.hash === "" && !subject?.modified))
      return { subject, path, binaryId: binary.id, ruleset, mask, unmet: null };
    return byDefault(
      table,
      { subject, path, unmet: unchanged === 0n ? null : descended === 0n ? "Ancestry" : "User" },
      direction,
    );
  }
  return byDefault(table, { subject, path, unmet: null }, direction);
}

function byDefault(table: RuleTable, who: Pick<Rights, "subject" | "path" | "unmet">, direction: Direction): Rights {
  const ruleset = table.default?.[direction] ?? EMPTY_RULESET;
  return { ...who, binaryId: 0, ruleset, mask: allBlocks(ruleset) };
}

/** Narrows the mask layer by layer (L3, peer, L4) and says where it became empty. */
export function judgeLayers(
  state: EvaluatorState,
  rights: Rights,
  destination: Destination,
  time: number,
  direction: Direction,
): Reason {
  const { ruleset } = rights;
  const { family, remote, protocol, port } = destination;
  // The empty rule set stands for a direction of which nothing is said: no peer is allowed, whatever the family.
  const isEmpty = ruleset.hash === "";
  rights.mask &= ruleset.ethertype[family];
  if (rights.mask === 0n && !isEmpty) return "Ethertype";
  const named = direction === "egress" ? learnedMask(state, rights, remote, time) : 0n;
  rights.mask &= peerMask(ruleset, family, familyAddress(remote, family)) | named;
  if (rights.mask === 0n) return "Peer";
  rights.mask &= portMask(ruleset, protocol, port);
  return rights.mask === 0n ? "Port" : "Allowed";
}

/** Blocks of which an unexpired learned name of the address may be connected to. */
export function learnedMask(state: EvaluatorState, rights: Rights, remote: Address, time: number): BlockMask {
  const names = state.learned.get(learnedKey(learnerKey(rights), remote)) ?? [];
  const masks = names
    .filter((known) => known.expires > time)
    .map((known) => nameMasks(rights.ruleset, reverseName(known.name)).connect);
  return masks.reduce((union, mask) => union | mask, 0n) & rights.ruleset.fqdn;
}

/** Narrows the mask to the blocks that allow the application; null for one that was not recognised. */
export function judgeApplication(rights: Rights, application: Application | null): Reason {
  const { anyApplication, application: listed } = rights.ruleset;
  rights.mask &= anyApplication | (application === null ? 0n : listed[application]);
  return rights.mask === 0n ? "Application" : "Allowed";
}

/**
 * Whether a name may be asked: under the blocks that allow the flow and let it speak DNS. One question does not narrow
 * the rights of the flow.
 * @param carries `records`: it holds records of the sender's own, which not every block that lets a name be asked allows.
 */
export function judgeQuestion(rights: Rights, name: string, carries: "nothing" | "records" = "nothing"): Reason {
  const { ruleset } = rights;
  const speaking = rights.mask & (ruleset.anyApplication | ruleset.application.dns);
  if (speaking === 0n) return "Application";
  const asking = ruleset.askAny | nameMasks(ruleset, reverseName(name)).ask;
  const allowing = carries === "records" ? asking & ruleset.askRecords : asking;
  return (speaking & allowing) === 0n ? "DnsName" : "Allowed";
}

/** Whether some block connects to the addresses of a name: others are not worth learning. */
export function connectsTo({ ruleset }: Rights, name: string): boolean {
  return (nameMasks(ruleset, reverseName(name)).connect & ruleset.fqdn) !== 0n;
}

/**
 * The reason as it is reported: under an absent `default` it is who the process is, not which layer failed; and a listed binary
 * that had to be judged by `default` is reported as what keeps it from its rules.
 */
export function reportedReason(table: RuleTable, rights: Rights, layerReason: Reason): Reason {
  if (layerReason === "Allowed" || rights.binaryId !== 0) return layerReason;
  if (rights.unmet !== null) return rights.unmet;
  if (rights.subject?.modified) return "BinaryModified";
  if (table.default !== null) return layerReason;
  return rights.subject === null ? "Unattributed" : "BinaryUnknown";
}
