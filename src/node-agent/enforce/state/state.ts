/**
 * What an agent has to remember from one start to the next: which numbers stand for what in the kernel's maps, and the
 * rule tables behind them, so that it can tell what differs, name profiles in events, and take things away again.
 * One JSON file on a file system that goes with the kernel's memory (/run): pins and state live and die together.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { causeCode, causeText } from "../../../api/errors.ts";
import { parseTable, serializeTable } from "../../../policy/serialize/serialize.ts";
import type { RuleTable } from "../../../policy/table/tables.ts";
import { OBSERVE_SOCKET } from "../../records/paths.ts";
import { StateUnreadableError } from "../errors.ts";
import { removeIfEmpty } from "./empty-folder.ts";
import { writeWholeFile } from "./whole-file.ts";

const STATE_VERSION = 1;
export const STATE_FILE = "state.json";
/** In a cluster: the operator's last state, which may be in a folder of its own. See src/node-agent/uplink. */
export const KEPT_STATE_FILE = "operator-state.bin";
/** The same, where a later one could not be written. */
export const OUTDATED_STATE_FILE = "operator-state.outdated.bin";
/** And how far the kernel's counters are reported to it. */
export const REPORTED_COUNTS_FILE = "reported-counts.json";
/** How many lost records have been reported as events. */
export const REPORTED_LOSSES_FILE = "reported-losses.json";
export const DEFAULT_PIN_ROOT = "/sys/fs/bpf/portcullis";

/** An interface that is guarded, as it was written to the kernel. */
export interface InterfaceState {
  ifindex: number;
  ifname: string;
}

export interface WorkloadState {
  id: number;
  /** What tells it from every other workload, those of the past too. */
  key: string;
  name: string;
  namespace: string;
  labels: Record<string, string>;
  /** Of the pod, which records carry; absent for named network namespaces, and in files of older agents. */
  uid?: string;
  netnsInum: number;
  netnsPath: string;
  interfaces: InterfaceState[];
  addresses: string[];
  containers: { name: string; cgroupId: string }[];
  /** Listed paths -> the files that they resolved to when the workload was bound. */
  files: Record<string, string>;
  /** Null: no profile selects it (unrestricted), or none is known yet (pending). */
  tableId: number | null;
  pending: boolean;
  /** RFC 3339: since when this table has been in force. */
  since: string;
  /** What is not guarded, or cannot be known, although the workload as a whole is guarded; absent in files of older agents. */
  problems?: { code: string; message: string }[];
  /** The last table that did not get in force, and why. */
  error: { code: string; message: string } | null;
}

export interface TableState {
  id: number;
  /** With every path as the file that it leads to. */
  table: RuleTable;
  /** Rule set's content hash -> number in the kernel. */
  rulesets: Record<string, number>;
}

export interface AgentState {
  pinRoot: string;
  /** Inode of the network namespace that the agent works in: interface indexes mean nothing in another one. */
  netnsInum: number;
  /** Odd, 64 bits: rodata `name_hash_multiplier` of the classifier. */
  nameHashMultiplier: bigint;
  /** Never handed out twice. */
  nextWorkloadId: number;
  nextTableId: number;
  workloads: WorkloadState[];
  tables: TableState[];
}

/** Where the state for these pins is kept: /run/portcullis for /sys/fs/bpf/portcullis, /run/NAME for .../NAME. */
export function defaultStateDirectory(pinRoot: string): string {
  return join("/run", basename(pinRoot));
}

/** The state of an installation that begins now. */
export function freshState(pinRoot: string, netnsInum: number): AgentState {
  return {
    pinRoot,
    netnsInum,
    nameHashMultiplier: randomBytes(8).readBigUInt64LE() | 1n,
    nextWorkloadId: 1,
    nextTableId: 1,
    workloads: [],
    tables: [],
  };
}

/**
 * Reads the state.
 * @returns null if there is none.
 * @throws StateUnreadableError if it is damaged, of another version, or belongs to other pins.
 */
export function loadState(directory: string, pinRoot: string): AgentState | null {
  const path = join(directory, STATE_FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (causeCode(cause) === "ENOENT") return null;
    throw new StateUnreadableError(path, causeText(cause), { cause });
  }
  try {
    return decodeState(text, path, pinRoot);
  } catch (cause) {
    if (cause instanceof StateUnreadableError) throw cause;
    throw new StateUnreadableError(path, causeText(cause), { cause });
  }
}

/**
 * Writes the state: all of it or nothing, also if the machine stops in between.
 * @param last the text that was written last; what is the same is not written again
 */
export function saveState(directory: string, state: AgentState, last: { text: string } = { text: "" }): void {
  const text = encodeState(state);
  if (text === last.text) return;
  writeWholeFile(join(directory, STATE_FILE), text);
  last.text = text;
}

/** Removes the state; the folder too, if nothing else is in it. */
export function removeState(directory: string): void {
  const reported = [REPORTED_COUNTS_FILE, REPORTED_LOSSES_FILE];
  // The socket is of an agent that was killed.
  for (const name of [STATE_FILE, KEPT_STATE_FILE, OUTDATED_STATE_FILE, ...reported, OBSERVE_SOCKET])
    rmSync(join(directory, name), { force: true });
}

/** Removes an operator's last state; the folder too, if nothing else is in it. */
export function removeKeptState(directory: string): void {
  for (const name of [KEPT_STATE_FILE, OUTDATED_STATE_FILE]) rmSync(join(directory, name), { force: true });
  removeIfEmpty(directory);
}

export function encodeState({ tables, ...state }: AgentState): string {
  const rest = { version: STATE_VERSION, ...state, nameHashMultiplier: state.nameHashMultiplier.toString(16) };
  return withText(rest, "tables", `[${tables.map(encodeTable).join()}]`);
}

/** A table may be megabytes, and its text is there already: it is put in as it is. */
function encodeTable({ table, ...state }: TableState): string {
  return withText(state, "table", serializeTable(table));
}

/** An object as JSON, with one more field of which the JSON is there already. */
function withText(object: object, field: string, json: string): string {
  return `${JSON.stringify(object).slice(0, -1)},"${field}":${json}}`;
}

function decodeState(text: string, path: string, pinRoot: string): AgentState {
  const raw = JSON.parse(text) as Record<string, unknown>;
  if (raw.version !== STATE_VERSION)
    throw new StateUnreadableError(path, `it has version ${String(raw.version)}, not ${STATE_VERSION}`);
  if (raw.pinRoot !== pinRoot)
    throw new StateUnreadableError(path, `it belongs to the pins under ${String(raw.pinRoot)}, not ${pinRoot}`);
  const multiplier = BigInt(`0x${String(raw.nameHashMultiplier)}`);
  if ((multiplier & 1n) === 0n) throw new StateUnreadableError(path, "its name hash multiplier is even");
  if (!Array.isArray(raw.workloads) || !Array.isArray(raw.tables))
    throw new StateUnreadableError(path, "workloads or tables are missing");
  return {
    pinRoot,
    netnsInum: wholeNumber(raw.netnsInum, "netnsInum", path),
    nameHashMultiplier: multiplier,
    nextWorkloadId: wholeNumber(raw.nextWorkloadId, "nextWorkloadId", path),
    nextTableId: wholeNumber(raw.nextTableId, "nextTableId", path),
    workloads: raw.workloads as WorkloadState[],
    tables: (raw.tables as Record<string, unknown>[]).map((entry) => ({
      ...(entry as unknown as TableState),
      table: parseTable(JSON.stringify(entry.table)),
    })),
  };
}

function wholeNumber(value: unknown, field: string, path: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new StateUnreadableError(path, `${field} is not a whole number`);
}
