/** The BPF file system and the folders of pins in it. */
import { existsSync, lstatSync, mkdirSync, readdirSync, rmdirSync, statfsSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { causeCode } from "../../api/errors.ts";
import { mountFileSystem } from "../ffi/libc.ts";
import { MountError } from "./mounts.ts";

/** Where the BPF file system is on every distribution. */
export const BPFFS_PATH = "/sys/fs/bpf";
/** Where Portcullis pins unless set otherwise. */
export const DEFAULT_PIN_ROOT = join(BPFFS_PATH, "portcullis");

/** BPF_FS_MAGIC of linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Whether a path is in a BPF file system. False if it is not there at all. */
export function isBpffs(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === BPF_FS_MAGIC;
}

/**
 * Mounts the BPF file system unless it is there. In a container the mount has to be the host's
 * (a hostPath volume with Bidirectional propagation), or pins go with the container.
 *
 * @returns true if it was mounted now
 */
export function ensureBpffs(path = BPFFS_PATH): boolean {
  if (isBpffs(path)) return false;
  if (!existsSync(path)) {
    throw new MountError(`${path} is not there to mount the BPF file system on. Mount sysfs on /sys`);
  }
  mountFileSystem("bpffs", path, "bpf", "mode=0700");
  return true;
}

/** Makes a folder for pins that only root may look into. @throws MountError if it is not in a BPF file system */
export function ensurePinFolder(path: string): void {
  const parent = nearestExisting(path);
  if (!isBpffs(parent)) {
    throw new MountError(`${path} is not in a BPF file system. Mount one: mount -t bpf bpffs ${BPFFS_PATH}`);
  }
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path));
}

/** Names of what is pinned in a folder; none if there is no such folder. */
export function listPins(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (causeCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** Removes one pin. What it pinned goes with the last other reference. @returns false if it was not there */
export function removePin(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (causeCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** Removes a folder with all pins in it: links detach, maps and their contents go. */
export function removePinFolder(path: string): void {
  for (const name of listPins(path)) {
    const entry = join(path, name);
    if (lstatSync(entry).isDirectory()) removePinFolder(entry);
    else removePin(entry);
  }
  if (existsSync(path)) rmdirSync(path);
}
