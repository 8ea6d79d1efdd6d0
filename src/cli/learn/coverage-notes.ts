/** What an answer from records rests on, and what is missing in it: lines for people, beneath the answer. */
import { seconds } from "./observation-text.ts";
import type { ReplayedWorkload } from "./replayed.ts";

export function coverageNotes({ coverage, resolvers }: ReplayedWorkload, resolverIsGiven: boolean): string[] {
  const { replicas, records, from, to, lost } = coverage;
  return [
    `${records} records of ${replicas.length === 1 ? "1 replica" : `${replicas.length} replicas`}, ${seconds(from ?? "")} to ${seconds(to ?? "")}`,
    ...(lost === 0 ? [] : [`incomplete: ${lost} records were lost`]),
    ...(resolverIsGiven || resolvers.length === 0
      ? []
      : [`${resolvers.join(", ")} is taken for the resolver, because it was asked most; --resolver says otherwise`]),
  ];
}
