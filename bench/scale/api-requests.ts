/** What the API server was asked for, as it counts it itself. */
import type { ApiClient } from "./api-client.ts";
import { parseMetrics } from "./operator-process.ts";

/** Requests by `VERB resource/subresource`. */
export type Requests = Map<string, number>;

const METRIC = "apiserver_request_total";
/** The API server's own housekeeping, and reading the metrics. */
const OTHERS = /^(GET|LIST|WATCH|CONNECT) |apiservices|prioritylevel|flowschema|endpointslices|configmaps|namespaces/;
const WRITES = /^(POST|PUT|PATCH|APPLY|DELETE|UPDATE|CREATE) /;

export async function apiRequests(api: ApiClient): Promise<Requests> {
  const requests: Requests = new Map();
  for (const [name, value] of parseMetrics(await api.get("/metrics"), `${METRIC}{`)) {
    const label = (key: string) => new RegExp(`[{,]${key}="([^"]*)"`).exec(name)?.[1] ?? "";
    const [resource, part] = [label("resource"), label("subresource")];
    const key = `${label("verb")} ${resource}${part === "" ? "" : `/${part}`}`;
    requests.set(key, (requests.get(key) ?? 0) + value);
  }
  return requests;
}

/** What came in between. */
export function requestsBetween(before: Requests, after: Requests): Record<string, number> {
  const entries = [...after].map(([key, value]): [string, number] => [key, value - (before.get(key) ?? 0)]);
  return Object.fromEntries(entries.filter(([key, value]) => value > 0 && !/^\S+ $/.test(key)));
}

/** Writes of the operator: those that somebody else may have made are left out. */
export function operatorWrites(requests: Record<string, number>): number {
  return Object.entries(requests)
    .filter(([key]) => WRITES.test(key) && !OTHERS.test(key) && !/ (securityprofiles|pods|nodes|leases)$/.test(key))
    .reduce((sum, [, count]) => sum + count, 0);
}
