/** Ends with a name: that an address was learned under, or (on either side) that was asked for; `*.example.com` for all below it. */
import { namePattern } from "../pattern.ts";
import type { EndTest } from "./end.ts";

export function hasName(names: readonly string[]): EndTest {
  const matches = namePattern(names);
  return ({ endpoint, asked }) =>
    (endpoint?.name !== undefined && matches(endpoint.name)) || (asked !== null && matches(asked));
}
