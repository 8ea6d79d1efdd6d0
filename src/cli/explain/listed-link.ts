/**
 * The listed path that leads to an event's file. Events go by the file; which links lead to it in the image is not known here, but the
 * kernel's reason says that one does.
 */
import { basename } from "node:path/posix";
import type { Reason } from "../../api/reasons.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { nearestPath } from "../../api/validation/nearest.ts";
import type { VerdictEvent } from "../../flow/record.ts";
import { selects } from "../../policy/table/selection.ts";

/** Reasons of the rules of a listed process; others are denied as `BinaryUnknown` before their rules are asked. */
const OF_LISTED: ReadonlySet<Reason> = new Set(["Ethertype", "Peer", "Port", "Application", "DnsName", "DnsMalformed"]);

/** Bytes of a process's name that the kernel keeps. */
const COMM_MAX = 15;

/**
 * The listed path by which the kernel must have known the event's process: the only one, the one that was typed, or the one
 * that is spelt nearly so. Null where its file is listed itself, or nothing points to one of several.
 */
export function listedLink(profiles: readonly SecurityProfile[], event: VerdictEvent): string | null {
  const { process, reason, workload } = event;
  const file = process?.path ?? null;
  if (process === null || file === null || !OF_LISTED.has(reason)) return null;
  const selecting = profiles.filter((profile) => selects(profile, workload).selected);
  const listed = [...new Set(selecting.flatMap(({ spec }) => (spec.processes ?? []).map(({ path }) => path)))];
  if (listed.includes(file) || (process.script != null && listed.includes(process.script))) return null;
  if (listed.length === 1) return listed[0] ?? null;
  const typed = listed.filter((path) => basename(path).slice(0, COMM_MAX) === process.comm);
  return typed.length === 1 ? (typed[0] ?? null) : nearestPath(file, listed);
}
