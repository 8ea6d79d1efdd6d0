/** Ends that are pods, by the beginning of their names: `web` or `/web` in any namespace, `shop/web` for those of one. */
import type { EndTest } from "./end.ts";

export function isOfPod(prefixes: readonly string[]): EndTest {
  return ({ workload }) => workload !== null && prefixes.some((prefix) => isPodOf(prefix, workload));
}

/** Whether a pod is meant by `name`, `/name` or `namespace/name`. */
export function isPodOf(prefix: string, { namespace, name }: { namespace: string; name: string }): boolean {
  const slash = prefix.indexOf("/");
  if (slash <= 0) return name.startsWith(prefix.slice(slash + 1));
  return namespace === prefix.slice(0, slash) && name.startsWith(prefix.slice(slash + 1));
}
