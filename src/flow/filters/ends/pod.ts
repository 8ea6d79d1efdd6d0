/** Records of pods, by the beginning of their names: `web`, or `shop/web` for those of one namespace. */
import type { RecordFilter } from "../filter.ts";
import { hasEnd, type Side } from "./end.ts";

export function isOfPod(side: Side): (prefixes: readonly string[]) => RecordFilter {
  return (prefixes) =>
    hasEnd(side, ({ workload }) => workload !== null && prefixes.some((prefix) => isPodOf(prefix, workload)));
}

/** Whether a pod is meant by `name` or `namespace/name`. */
export function isPodOf(prefix: string, { namespace, name }: { namespace: string; name: string }): boolean {
  const slash = prefix.indexOf("/");
  if (slash < 0) return name.startsWith(prefix);
  return namespace === prefix.slice(0, slash) && name.startsWith(prefix.slice(slash + 1));
}
