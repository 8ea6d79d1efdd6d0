/** What the numbers in the kernel's records stand for, from the state of the agent and the kernel's own maps. */
import { readFileSync } from "node:fs";
import type { WorkloadReference } from "../../flow/record.ts";
import type { TableState, WorkloadState } from "../enforce/state/state.ts";
import type { ContainerIds } from "../enforce/tables/container-ids.ts";
import type { PathNames } from "../enforce/tables/path-names.ts";
import { type ClockOffsets, clockOffsets, wallTime, wallTimeOfBoot } from "../kernel/clock.ts";
import type { Maps } from "../kernel/typed-maps.ts";
import type { Directory } from "./enrich.ts";
import { nameFromReversed } from "./names.ts";
import { RememberedTables, type TableOrigins } from "./table-origins.ts";

/** Wall time moves against the kernel's clock (NTP); looked at again after this long. */
const CLOCK_AGE_MS = 5000;
/** Workloads that are gone are remembered for events that are still on their way; so many. */
const REMEMBERED = 256;
/** Names by hash that are kept: as many as the kernel keeps. */
const NAMES_KEPT = 16384;

export interface DirectoryParts {
  maps: Pick<Maps, "dnsNames">;
  paths: PathNames;
  containerIds: ContainerIds;
  /** What is in force, as the enforcer has it. */
  inForce: { readonly workloads: readonly WorkloadState[]; readonly tables: readonly TableState[] };
  findTable(id: number): TableState | null;
}

/** Random, made by the kernel when it starts (random(4)). */
const BOOT_ID = "/proc/sys/kernel/random/boot_id";

export class AgentDirectory implements Directory {
  readonly bootId = readFileSync(BOOT_ID, "utf8").trim();
  readonly #parts: DirectoryParts;
  readonly #workloads = new Map<number, { reference: WorkloadReference; containers: Map<number, string> }>();
  readonly #tables = new RememberedTables();
  readonly #names = new Map<bigint, string>();
  #offsets: ClockOffsets = clockOffsets();
  #offsetsAt = performance.now();

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    this.update();
  }

  /** To be called when the state has changed. */
  update(): void {
    const { inForce, containerIds } = this.#parts;
    for (const { id, name, namespace, labels, uid, containers } of inForce.workloads) {
      const reference = { name, namespace, labels, ...(uid === undefined ? {} : { uid }) };
      const names = new Map(containers.map((container) => [containerIds.of(container.name), container.name]));
      remember(this.#workloads, id, { reference, containers: names }, REMEMBERED);
    }
    for (const { id, table } of inForce.tables) this.#tables.put(id, table);
  }

  workload(id: number): WorkloadReference | null {
    return this.#workloads.get(id)?.reference ?? null;
  }

  table(id: number): TableOrigins | null {
    return this.#parts.findTable(id)?.table ?? this.#tables.get(id);
  }

  path(id: number): string | null {
    return this.#parts.paths.text(id);
  }

  name(workloadId: number, hash: bigint): string | null {
    const known = this.#names.get(hash);
    if (known !== undefined) return known;
    const value = this.#parts.maps.dnsNames.get({ workloadId, hash });
    if (value === undefined) return null;
    const name = nameFromReversed(value.text.slice(0, value.length));
    remember(this.#names, hash, name, NAMES_KEPT);
    return name;
  }

  container(workloadId: number, id: number): string | null {
    return this.#workloads.get(workloadId)?.containers.get(id) ?? null;
  }

  eventTime(monotonic: bigint): Date {
    return wallTime(monotonic, this.#clock());
  }

  startTime(sinceBoot: bigint): Date {
    return wallTimeOfBoot(sinceBoot, this.#clock());
  }

  #clock(): ClockOffsets {
    if (performance.now() - this.#offsetsAt > CLOCK_AGE_MS) {
      this.#offsets = clockOffsets();
      this.#offsetsAt = performance.now();
    }
    return this.#offsets;
  }
}

/** Keeps the `limit` that were put in last. */
function remember<K, V>(map: Map<K, V>, key: K, value: V, limit: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= limit) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}
