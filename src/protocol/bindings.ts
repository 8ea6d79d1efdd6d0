/** Bindings by pod, and the hash by which both sides know that they mean the same. */
import { hash } from "node:crypto";
import type { Binding } from "../gen/agent_pb.js";

/** Bindings by the uid of their pods. */
export type Bindings = ReadonlyMap<string, Binding>;

const digests = new WeakMap<Binding, string>();

/** Equal for equal bindings. Worked out once for each: a binding is not changed, but replaced. */
export function bindingDigest(binding: Binding): string {
  const known = digests.get(binding);
  if (known !== undefined) return known;
  const digest = hash("sha256", bindingText(binding), "base64url");
  digests.set(binding, digest);
  return digest;
}

/** Sha256, hex, over the sorted digests of the bindings, so that a changed one costs no look at the others' content. */
export function stateHash(bindings: Bindings): string {
  const all = Array.from(bindings.values(), bindingDigest).sort();
  return hash("sha256", all.join("\n"), "hex");
}

function bindingText(binding: Binding): string {
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
