/**
 * An agent whose workloads are pods, without a cluster: profiles from a folder, and from a file what an operator would
 * tell of the pods.
 *
 *     pod-agent.ts PROFILES PODS PIN-ROOT STATE-FOLDER CGROUP
 */
import { existsSync, readFileSync, statSync, watchFile } from "node:fs";
import { join } from "node:path";
import { LineSink } from "../../../src/export/line-sink.ts";
import { Agent } from "../../../src/node-agent/agent.ts";
import type { PodDirectory, PodFacts } from "../../../src/node-agent/discovery/pods/pod-facts.ts";
import { PodWorkloads } from "../../../src/node-agent/discovery/pods/pods.ts";
import { acquireLock } from "../../../src/node-agent/enforce/state/lock.ts";
import { DEFAULT_SETTINGS } from "../../../src/node-agent/enforce/tables/settings.ts";
import { ForeignFiles } from "../../../src/node-agent/foreign-files/foreign-files.ts";
import { cgroupHierarchies } from "../../../src/node-agent/kernel/mounts.ts";
import { ProfileFolder } from "../../../src/node-agent/profiles/folder.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";

const FILE_INTERVAL_MS = 20;
const STARTUP_TIMEOUT_MS = 60_000;

/** Pods as described in a JSON file: an array of PodFacts. */
class PodFile implements PodDirectory {
  readonly #file: string;
  #pods = new Map<string, PodFacts>();

  constructor(file: string) {
    this.#file = file;
    this.#read();
  }

  find(uid: string): PodFacts | null {
    return this.#pods.get(uid) ?? null;
  }

  subscribe(listener: () => void): () => void {
    const watcher = watchFile(this.#file, { interval: FILE_INTERVAL_MS }, () => {
      this.#read();
      listener();
    });
    return () => watcher.removeAllListeners();
  }

  #read(): void {
    if (!existsSync(this.#file)) return;
    const pods = JSON.parse(readFileSync(this.#file, "utf8")) as PodFacts[];
    this.#pods = new Map(pods.map((facts) => [facts.uid, facts]));
  }
}

const [profileFolder = "", podFile = "", pinRoot = "", stateDirectory = "", cgroup = ""] = process.argv.slice(2);
const log = createLogger();
acquireLock(stateDirectory, pinRoot);
const sink = new LineSink(process.stdout, { format: "json", colours: false });
// Only this fixture's pods: the machine may run others.
const hierarchies = cgroupHierarchies()
  .map(({ path, unified }) => ({ path: join(path, cgroup), unified }))
  .filter(({ path }) => statSync(path, { throwIfNoEntry: false }) !== undefined);
const files = new ForeignFiles({ log });
const workloads = new PodWorkloads(new PodFile(podFile), {
  files,
  hierarchies,
  onError: (cause) => log.error({ err: cause }, "cannot look at the pods; trying again"),
});
new Agent({
  pinRoot,
  stateDirectory,
  settings: { ...DEFAULT_SETTINGS, eventInterval: 0 },
  profiles: new ProfileFolder(profileFolder, log),
  workloads,
  files,
  sink,
  startupFailurePolicy: "Block",
  startupTimeout: STARTUP_TIMEOUT_MS,
  gate: join(hierarchies[0]?.path ?? "", "kubepods"),
  log,
});
