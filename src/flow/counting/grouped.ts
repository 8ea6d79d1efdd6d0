/** Records counted by some of their fields. */
import { type AgentEvent, isVerdict } from "../record.ts";
import { type FieldName, fieldOf } from "./fields.ts";
import { FlowVolumes } from "./flow-volumes.ts";
import { Tally } from "./tally.ts";

export const GROUP_MEASURES = ["records", "packets", "bytes"] as const;
export type GroupMeasure = (typeof GROUP_MEASURES)[number];

/** A group has a value for each field; null: its records have none. */
export interface Group extends Record<GroupMeasure, number> {
  values: (string | null)[];
}

/** What no name or path can be. */
const NONE = "\n";

export class Grouped {
  readonly #fields: readonly FieldName[];
  readonly #tally = new Tally(GROUP_MEASURES);
  readonly #volumes: FlowVolumes;

  /** @param since ms since 1970: what flows had before is not counted */
  constructor(fields: readonly FieldName[], since?: number) {
    this.#fields = fields;
    this.#volumes = new FlowVolumes(since);
  }

  add(record: AgentEvent): void {
    const values = this.#fields.map((field) => fieldOf(record, field) ?? NONE);
    this.#tally.add(values, { records: 1, ...this.#volumeOf(record) });
  }

  #volumeOf(record: AgentEvent): Partial<Record<GroupMeasure, number>> {
    if (isVerdict(record)) return { packets: record.count };
    if (record.type !== "flow") return {};
    const { packets, bytes } = this.#volumes.added(record);
    return { packets: packets.sent + packets.received, bytes: bytes.sent + bytes.received };
  }

  /** The largest first. */
  groups(limit: number): Group[] {
    const rows = this.#tally.rows(["records", "packets", "bytes"]).slice(0, limit);
    return rows.map(({ key, counts }) => ({ values: key.map((value) => (value === NONE ? null : value)), ...counts }));
  }
}
