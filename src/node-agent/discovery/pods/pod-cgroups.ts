/**
 * The pods of this node as the cgroup hierarchy has them: which pods, which containers, which processes. One look reads
 * directories only; whoever wants it fresh asks whether something has changed first.
 */
import { type FSWatcher, opendirSync, readFileSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { causeCode } from "../../../api/errors.ts";
import type { CgroupHierarchy } from "../../kernel/mounts.ts";
import { podCgroup } from "./cgroups.ts";

/** A container's cgroup, with those that it has made below, up to `NESTED_MAX`. */
export interface ContainerCgroup {
  /** As the runtime gives it. */
  id: string;
  /** Of its cgroup and of those below, as bpf_get_current_cgroup_id gives them; empty where it has none on v2. */
  cgroupIds: readonly bigint[];
  /** Absolute paths of the directories. */
  folders: readonly string[];
}

export interface PodCgroups {
  uid: string;
  /** The sandbox among them: it is a container to the kernel, though not to the API server. */
  containers: readonly ContainerCgroup[];
}

/** systemd's leaves: no pod of this node is below them, and nodes have hundreds. */
const LEAF = /\.(scope|socket|mount|swap|timer|target)$/;
/**
 * Leaves as well, as a rule. But a runtime that is not configured to ask systemd for cgroups, on a node whose kubelet does,
 * makes them below its own service: that one is watched even before it has any.
 */
const SERVICE = /\.service$/;
const RUNTIME = /containerd|docker|crio|k3s|rke2|k0s/;
/**
 * Root of a container may make cgroups without number. Beyond these, one counts as its container's by the process that was moved
 * there (bpf/include/process/container.h).
 */
export const NESTED_MAX = 64;
/** What is gone while it is looked at. */
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ENODEV"]);

/** One walk over a hierarchy. */
interface Walk {
  root: string;
  unified: boolean;
  containers: Map<string, Map<string, ContainerCgroup>>;
  /** Directories in which pods and containers may appear. */
  watched: Set<string>;
}

/** Keeps the last look at the hierarchies, and notices when it is out of date. */
export class PodCgroupTree implements Disposable {
  readonly #roots: readonly CgroupHierarchy[];
  readonly #onStale: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  /**
   * Folders that have no watch, and the links that each had when it was looked at: there are so many watches for a user, whom root of
   * most containers is, too.
   */
  readonly #unwatched = new Map<string, number>();
  #pods: ReadonlyMap<string, PodCgroups> = new Map();
  #stale = true;
  #closed = false;

  /**
   * @param roots v2 first; others are looked at for pods that runtimes have placed in v1 only
   * @param onStale called when a cgroup has come or gone
   */
  constructor(roots: readonly CgroupHierarchy[], onStale: () => void) {
    this.#roots = roots;
    this.#onStale = onStale;
  }

  /** Whether a cgroup has come or gone since the last look. */
  get stale(): boolean {
    return this.#stale || [...this.#unwatched].some(([path, links]) => linksOf(path) !== links);
  }

  /** By uid, as of the last look. */
  get pods(): ReadonlyMap<string, PodCgroups> {
    return this.#pods;
  }

  /** Looks at everything. @throws Node's error where a hierarchy cannot be read */
  look(): ReadonlyMap<string, PodCgroups> {
    this.#stale = false;
    const watched = new Set<string>();
    const containers: Walk["containers"] = new Map();
    for (const { path, unified } of this.#roots) walk({ root: path, unified, containers, watched }, "");
    this.#watch(watched);
    this.#pods = new Map(
      [...containers].map(([uid, ofPod]) => [
        uid,
        { uid, containers: [...ofPod.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) },
      ]),
    );
    return this.#pods;
  }

  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(wanted: ReadonlySet<string>): void {
    for (const [path, watcher] of this.#watchers) {
      if (wanted.has(path)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    for (const path of this.#unwatched.keys()) if (!wanted.has(path)) this.#unwatched.delete(path);
    for (const path of wanted) if (!this.#watchers.has(path)) this.#watchFolder(path);
  }

  #watchFolder(path: string): void {
    const changed = () => {
      if (this.#closed) return;
      this.#stale = true;
      this.#onStale();
    };
    try {
      const watcher = watch(path, { persistent: false }, changed);
      watcher.on("error", changed);
      this.#watchers.set(path, watcher);
      this.#unwatched.delete(path);
      // What came between the look and the watch has notified nobody.
      this.#stale = true;
    } catch (error) {
      if (!["ENOENT", "ENOSPC", "EMFILE", "ENODEV"].includes(causeCode(error) ?? "")) throw error;
      if (!this.#unwatched.has(path)) this.#stale = true;
      this.#unwatched.set(path, linksOf(path));
    }
  }
}

function walk(state: Walk, path: string): void {
  const folder = join(state.root, path);
  const names = subfolders(folder);
  if (names === null) return;
  state.watched.add(folder);
  for (const name of names) {
    const below = `${path}/${name}`;
    const pod = podCgroup(below);
    if (pod?.containerId != null) addContainer(state, pod.podUid, pod.containerId, below);
    else if (pod === null ? mayHoldPods(name, join(folder, name)) : pod.exact) walk(state, below);
  }
}

function mayHoldPods(name: string, folder: string): boolean {
  if (LEAF.test(name)) return false;
  return !SERVICE.test(name) || RUNTIME.test(name) || hasSubfolders(folder);
}

/** By its links, which is much cheaper than reading it: one from above, its own, and one from each folder in it. */
function hasSubfolders(folder: string): boolean {
  return ![0, 2].includes(linksOf(folder));
}

/** 0 for one that is gone. */
function linksOf(folder: string): number {
  return statSync(folder, { throwIfNoEntry: false })?.nlink ?? 0;
}

function addContainer({ root, unified, containers }: Walk, uid: string, id: string, path: string): void {
  const ofPod = containers.get(uid) ?? new Map<string, ContainerCgroup>();
  containers.set(uid, ofPod);
  const known = ofPod.get(id);
  // On hybrid nodes v2 comes first, and knows all there is to know of a container that is there.
  if (known !== undefined && known.cgroupIds.length > 0) return;
  const folders = withDescendants(join(root, path));
  const cgroupIds = unified ? folders.flatMap(cgroupId) : [];
  ofPod.set(id, { id, cgroupIds, folders });
}

/** Those nearest to the container first. */
function withDescendants(folder: string): string[] {
  const folders = [folder];
  for (const parent of folders) {
    const room = NESTED_MAX + 1 - folders.length;
    if (room === 0) break;
    folders.push(...(subfolders(parent, room) ?? []).map((name) => join(parent, name)));
  }
  return folders;
}

/** At most so many. Null for one that is gone. */
function subfolders(folder: string, most = Number.POSITIVE_INFINITY): string[] | null {
  try {
    using directory = opendirSync(folder);
    const names: string[] = [];
    for (let entry = directory.readSync(); entry !== null && names.length < most; entry = directory.readSync()) {
      if (entry.isDirectory()) names.push(entry.name);
    }
    return names;
  } catch (error) {
    if (GONE.has(causeCode(error) ?? "")) return null;
    throw error;
  }
}

function cgroupId(folder: string): bigint[] {
  const inode = statSync(folder, { bigint: true, throwIfNoEntry: false })?.ino;
  return inode === undefined ? [] : [inode];
}

/** Process ids of a container, as this process's PID namespace has them; none once it is gone. */
export function containerProcesses({ folders }: ContainerCgroup): number[] {
  return folders.flatMap((folder) => {
    try {
      const pids = readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").map(Number);
      return pids.filter((pid) => pid > 0);
    } catch (error) {
      // EOPNOTSUPP: a threaded cgroup, whose processes are its parent's.
      if (["ENOENT", "ENODEV", "EOPNOTSUPP", "ENOTSUP"].includes(causeCode(error) ?? "")) return [];
      throw error;
    }
  });
}
