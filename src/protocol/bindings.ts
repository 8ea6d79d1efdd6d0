/** Bindings by pod, and the hash by which both sides know that they mean the same. */
import { createHash } from "node:crypto";
import type { Binding } from "./agent_pb.js";

/** Bindings by the uid of their pods. */
export type Bindings = ReadonlyMap<string, Binding>;

/** Text that is equal for equal bindings. */
export function bindingText(binding: Binding): string {
  return JSON.stringify([
    binding.podUid,
    binding.namespace,
    binding.name,
    Object.entries(binding.labels).sort(([left], [right]) => (left < right ? -1 : 1)),
    binding.policy,
    binding.tableHash,
    binding.containers.map(({ name, id }) => [name, id]),
  ]);
}

/** Sha256, hex, over the bindings in the order of their pods' uids. */
export function stateHash(bindings: Bindings): string {
  const hash = createHash("sha256");
  for (const uid of [...bindings.keys()].sort()) hash.update(`${bindingText(bindings.get(uid) as Binding)}\n`);
  return hash.digest("hex");
}
