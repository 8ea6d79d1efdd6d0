/** What profiles would have made of a recording. */
import type { SecurityProfile } from "../api/types.ts";
import type { CompileOptions } from "../policy/compile/compile.ts";
import { CompileMemory } from "../policy/compile/compile-memory.ts";
import { CLUSTER_DNS, type PeerPrefixes, type PeerResolver } from "../policy/table/peers.ts";
import { type Finding, judge } from "./judge.ts";
import type { PodAddresses } from "./pod-addresses.ts";
import type { RecordedWorkload } from "./recorded-workloads.ts";
import type { Coverage, Observation } from "./recording.ts";

/**
 * `refused`: it was allowed, and would be a violation. `admitted`: it was a violation, and would be allowed. `undecided`: the records
 * do not tell.
 */
export type Outcome = "allowed" | "refused" | "admitted" | "still-refused" | "undecided";

export interface Replayed {
  observation: Observation;
  outcome: Outcome;
  finding: Finding;
}

export interface Replay {
  namespace: string;
  name: string;
  /** False: no profile selects it, so that nothing of it is judged. */
  selected: boolean;
  replayed: Replayed[];
  coverage: Coverage;
}

const NOBODY: PeerPrefixes = { cidrs4: [], cidrs6: [] };
const EVERYBODY: PeerPrefixes = { cidrs4: [{ address: 0n, length: 0 }], cidrs6: [{ address: 0n, length: 0 }] };
/** Each selected peer has every address. What is the same as with the addresses that records tell does not depend on the others. */
const ALL_PEERS: PeerResolver = {
  pods: () => EVERYBODY,
  // The workload's name servers are known.
  service: (peer) => (peer === CLUSTER_DNS ? NOBODY : EVERYBODY),
};

/**
 * Whatever the actions are, the profiles are taken as enforced. What depends on addresses of Services, or of pods without records, is
 * undecided.
 * @param pods of whom there are records
 * @throws CompileError
 */
export function replay(
  profiles: SecurityProfile[],
  { namespace, name, recording }: RecordedWorkload,
  options: Pick<CompileOptions, "resolvers" | "searchDomains">,
  pods: PodAddresses,
): Replay {
  const workload = { namespace, labels: { ...recording.labels()[0] } };
  const known: PeerResolver = { pods: (peer, own) => pods.addressesOf(peer, own), service: () => NOBODY };
  const [none, all] = [known, ALL_PEERS].map((peers) => ({ ...options, peers, memory: new CompileMemory() }));
  const replayed = recording.observations().map((observation): Replayed => {
    const least = judge(profiles, workload, observation, none as CompileOptions);
    const most = least === "Peer" ? judge(profiles, workload, observation, all as CompileOptions) : least;
    const finding = least === "Peer" && most === "Allowed" ? "undecided" : most;
    return { observation, finding, outcome: outcomeOf(observation, finding) };
  });
  const selected = !replayed.some(({ finding }) => finding === "unjudged");
  return { namespace, name, selected, replayed: selected ? replayed : [], coverage: recording.coverage() };
}

function outcomeOf({ allowed }: Observation, finding: Finding): Outcome {
  if (finding === "undecided" || finding === "unjudged") return "undecided";
  if (finding === "Allowed") return allowed ? "allowed" : "admitted";
  return allowed ? "refused" : "still-refused";
}

/** The address that most questions went to: the workload's resolver, as far as records tell; null where nothing was asked. */
export function askedResolver(observations: readonly Observation[]): string | null {
  const questions = observations.filter(({ question, direction }) => question !== null && direction === "egress");
  const times = [...Map.groupBy(questions, ({ peer }) => peer)].map(([peer, asked]) => ({
    peer,
    times: asked.reduce((sum, { evidence }) => sum + evidence.times, 0),
  }));
  times.sort((one, other) => other.times - one.times || (one.peer < other.peer ? -1 : 1));
  return times[0]?.peer ?? null;
}
