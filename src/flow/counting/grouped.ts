/** Records counted by some of their fields. */
import { type AgentEvent, isVerdict } from "../record.ts";
import { type FieldName, fieldOf } from "./fields.ts";
import { Tally } from "./tally.ts";

export const GROUP_MEASURES = ["records", "packets"] as const;
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

  constructor(fields: readonly FieldName[]) {
    this.#fields = fields;
  }

  add(record: AgentEvent): void {
    const values = this.#fields.map((field) => fieldOf(record, field) ?? NONE);
    this.#tally.add(values, { records: 1, packets: isVerdict(record) ? record.count : 0 });
  }

  /** The largest first. */
  groups(limit: number): Group[] {
    const rows = this.#tally.rows(["records", "packets"]).slice(0, limit);
    return rows.map(({ key, counts }) => ({ values: key.map((value) => (value === NONE ? null : value)), ...counts }));
  }
}
