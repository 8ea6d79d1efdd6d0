/** How often something was seen, when, and in which replicas: what a learned rule rests on. */

export interface Evidence {
  /** Packets that began a conversation, or questions. */
  times: number;
  /** RFC 3339, as in the records. */
  first: string;
  last: string;
  /** Pods, or network namespaces, that did it. */
  replicas: ReadonlySet<string>;
}

/** All of it taken together. @throws RangeError for none */
export function unitedEvidence(all: readonly Evidence[]): Evidence {
  return all.reduce((one, other) => ({
    times: one.times + other.times,
    first: [one.first, other.first].sort()[0] as string,
    last: [one.last, other.last].sort()[1] as string,
    replicas: new Set([...one.replicas, ...other.replicas]),
  }));
}
