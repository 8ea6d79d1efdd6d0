/**
 * Numbers for private namespaces, unique on the host. Everything that a private namespace leaves on the host has its
 * number in its name. The owner of a number holds a lock on its file, which the kernel takes back when the owner dies
 * however it dies: an unlocked file is the number of one that left without cleaning up.
 */
import { closeSync, mkdirSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { causeCode } from "../../api/errors.ts";
import { openLocked } from "../ffi/file-lock.ts";
import { WorkloadError } from "../netlink/errors.ts";
import { SLOTS_MAX } from "./private-range.ts";

const LOCK_FILE = "lock";
const SLOT_FILE = /^slot-(\d+)$/;
const LOCK_ATTEMPTS = 500;
const LOCK_PAUSE = 20;

function slotFile(folder: string, slot: number): string {
  return `${folder}/slot-${slot}`;
}

/**
 * Does `work` while no other process makes, ends or collects private namespaces. The folder is there meanwhile, and after it only
 * if something is in it.
 *
 * @throws WorkloadError (PC_RUN_SETUP) where somebody holds the lock for ten seconds; whatever `work` throws
 */
export async function exclusively<T>(folder: string, work: () => T): Promise<T> {
  const lock = await takeLock(folder);
  try {
    return work();
  } finally {
    release(folder, lock);
  }
}

async function takeLock(folder: string): Promise<number> {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt += 1) {
    const lock = tryToTake(folder);
    if (lock !== null) return lock;
    await sleep(LOCK_PAUSE);
  }
  const path = `${folder}/${LOCK_FILE}`;
  throw new WorkloadError(
    "PC_RUN_SETUP",
    `another process has held ${path} for ten seconds; end it (\`fuser ${path}\` names it) and try again`,
  );
}

function tryToTake(folder: string): number | null {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return openLocked(`${folder}/${LOCK_FILE}`);
  } catch (cause) {
    // Who had the lock has just removed the folder, or does so while it is made.
    if (causeCode(cause) === "ENOENT") return null;
    throw cause;
  }
}

function release(folder: string, lock: number): void {
  try {
    const inUse = readdirSync(folder).some((name) => name !== LOCK_FILE);
    if (!inUse) removeFolder(folder);
  } finally {
    closeSync(lock);
  }
}

function removeFolder(folder: string): void {
  rmSync(`${folder}/${LOCK_FILE}`);
  try {
    rmdirSync(folder);
  } catch (cause) {
    // The next one has made its lock there already, or has come and gone.
    const code = causeCode(cause);
    if (code !== "ENOTEMPTY" && code !== "ENOENT") throw cause;
  }
}

/** A number that is ours until `release`. */
export class Slot {
  readonly number: number;
  readonly #folder: string;
  readonly #fd: number;

  constructor(folder: string, number: number, fd: number) {
    this.number = number;
    this.#folder = folder;
    this.#fd = fd;
  }

  release(): void {
    rmSync(slotFile(this.#folder, this.number), { force: true });
    this.abandon();
  }

  /** Leaves the number to be collected by whoever comes next. */
  abandon(): void {
    closeSync(this.#fd);
  }
}

/** Takes the lock of a number's file; null where its owner is alive. To be called within `exclusively`. */
function claim(folder: string, slot: number): Slot | null {
  const path = slotFile(folder, slot);
  const fd = openLocked(path);
  return fd === null ? null : new Slot(folder, slot, fd);
}

/** Numbers that are in use, or were and have not been cleaned up. */
function listSlots(folder: string): number[] {
  const numbers = readdirSync(folder).map((name) => SLOT_FILE.exec(name)?.[1]);
  return numbers.filter((number) => number !== undefined).map(Number);
}

/** The numbers whose owners have died, now ours. To be called within `exclusively`. */
export function claimLeftovers(folder: string): Slot[] {
  return listSlots(folder)
    .map((slot) => claim(folder, slot))
    .filter((slot) => slot !== null);
}

/** True where any number has an owner. To be called within `exclusively`. */
export function slotsInUse(folder: string): boolean {
  return listSlots(folder).length > 0;
}

/** The first free number. To be called within `exclusively`. @throws WorkloadError (PC_RUN_SETUP) where there is none */
export function claimFreeSlot(folder: string): Slot {
  const taken = new Set(listSlots(folder));
  for (let slot = 0; slot < SLOTS_MAX; slot += 1) {
    if (taken.has(slot)) continue;
    const claimed = claim(folder, slot);
    if (claimed !== null) return claimed;
  }
  throw new WorkloadError("PC_RUN_SETUP", `${SLOTS_MAX} private namespaces are in use on this host; end some of them`);
}
