/** Parts of records: a mask names the fields that are wanted. */
import type { AgentEvent } from "./record.ts";

/** Where a field is: `["workload", "name"]`. */
export type FieldPath = readonly string[];

/** What is left of a record. */
export type MaskedRecord = Readonly<Record<string, unknown>>;

/** What is wanted of an object; null: the whole. */
type Mask = Map<string, Mask | null>;

/** Takes the named fields of records, each with all that is in it. */
export function fieldMask(fields: readonly FieldPath[]): (record: AgentEvent) => MaskedRecord {
  const mask: Mask = new Map();
  for (const field of fields) want(mask, field);
  return (record) => masked(record as unknown as MaskedRecord, mask);
}

function want(mask: Mask, [field = "", ...below]: FieldPath): void {
  const before = mask.get(field);
  // The whole of it is wanted, and parts of it, too.
  if (before === null) return;
  if (below.length === 0) {
    mask.set(field, null);
    return;
  }
  const parts: Mask = before ?? new Map();
  mask.set(field, parts);
  want(parts, below);
}

function masked(value: MaskedRecord, mask: Mask): MaskedRecord {
  const result: Record<string, unknown> = {};
  for (const [field, parts] of mask) {
    const part = value[field];
    if (part === undefined) continue;
    const isWhole = parts === null || typeof part !== "object" || part === null;
    result[field] = isWhole ? part : masked(part as MaskedRecord, parts);
  }
  return result;
}
