/** Field masks of Hubble's requests: names as the protocol has them, such as `source.pod_name`. */
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { UsageError } from "../api/errors.ts";
import { type Flow, FlowSchema } from "../gen/observer_pb.js";

/** Null: the whole of it. */
type Mask = Map<string, Mask | null>;

/** Takes the named fields of flows. Fields that no flow here ever has are left out. @throws UsageError for an empty path */
export function flowMask(paths: readonly string[]): (flow: Flow) => Flow {
  const mask: Mask = new Map();
  for (const path of paths) {
    if (path === "") throw new UsageError("a path of the field mask is empty");
    want(mask, path.split("."));
  }
  return (flow) => masked(flow, FlowSchema, mask) as Flow;
}

function want(mask: Mask, [field = "", ...below]: readonly string[]): void {
  const before = mask.get(field);
  if (before === null) return;
  if (below.length === 0) {
    mask.set(field, null);
    return;
  }
  const parts: Mask = before ?? new Map();
  mask.set(field, parts);
  want(parts, below);
}

function masked(message: Message, schema: DescMessage, mask: Mask): Message {
  const from = message as unknown as Record<string, unknown>;
  const result = create(schema) as unknown as Record<string, unknown>;
  for (const field of schema.fields) {
    const name = field.oneof?.localName ?? field.localName;
    const below = mask.get(field.name);
    const value = from[name];
    if (below === undefined || value === undefined) continue;
    const isWhole = below === null || field.oneof !== undefined || field.fieldKind !== "message";
    result[name] = isWhole ? value : masked(value as Message, field.message, below);
  }
  return result as unknown as Message;
}
