/** A recording -> the SecurityProfile that allows what was recorded, and nothing else. */
import type { FieldPath } from "../api/fields.ts";
import { checkName } from "../api/names.ts";
import { normalizeProfile } from "../api/normalize.ts";
import { API_VERSION, KIND, type Network, type ProcessRules, type SecurityProfile } from "../api/types.ts";
import { validateProfile } from "../api/validation/validate.ts";
import type { WrittenProfile } from "../api/written-profile.ts";
import { compareText } from "../policy/table/names.ts";
import type { Generalization, Proposal } from "./generalize.ts";
import { namesOf, oneOffNames, withOneOffPorts } from "./one-off.ts";
import type { Coverage, Observation, Recording } from "./recording.ts";
import { type RuleContext, type RuleEvidence, rulesOf } from "./rules.ts";
import { entryPath, type LeftOutReason, setApart } from "./set-apart.ts";

export interface LearnOptions extends RuleContext {
  /** Of the profile. */
  name: string;
  namespace: string;
  /** That select the workload. */
  labels: Readonly<Record<string, string>>;
  /** Paths that are learned although they are set apart. */
  include: ReadonlySet<string>;
}

/** What one process did that is not in the profile. */
export interface LeftOut {
  reason: LeftOutReason;
  /** Null: no process, or one whose executable is not known. */
  path: string | null;
  observations: Observation[];
}

export interface LearnedProfile {
  /** Normalised, and without errors. */
  profile: SecurityProfile;
  /** By the place of each value in the profile. */
  evidence: RuleEvidence[];
  proposals: (Proposal & { kind: Generalization; path: string })[];
  leftOut: LeftOut[];
  coverage: Coverage;
  /** What `portcullis validate` warns of. */
  warnings: string[];
}

/** The same records give the same profile, in whatever order they come. */
export function learn(recording: Recording, options: LearnOptions): LearnedProfile {
  const allowed = recording.observations().filter((observation) => observation.allowed);
  const { kept, leftOut } = sorted(allowed, options.include);
  const entries = entriesOf(kept, options);
  const written: WrittenProfile = {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name: options.name, namespace: options.namespace },
    spec: {
      labelSelector: { matchLabels: { ...options.labels } },
      actions: ["alert", "enforce"],
      processes: entries.map(({ process }) => process),
    },
  };
  return {
    profile: normalizeProfile(written).profile,
    evidence: entries.flatMap(({ evidence }, index) =>
      evidence.map((item) => ({ ...item, path: ["spec", "processes", index, ...item.path] })),
    ),
    proposals: entries.flatMap(({ process, proposals }) =>
      proposals.map((proposal) => ({ ...proposal, path: process.path })),
    ),
    leftOut,
    coverage: recording.coverage(),
    warnings: validateProfile(written).warnings.map(({ field, message }) => `${field}: ${message}`),
  };
}

/** Parts what is learned from what is not. */
function sorted(observations: readonly Observation[], include: ReadonlySet<string>) {
  const apart = Map.groupBy(observations, (observation) => setApart(observation, include));
  const rest = Map.groupBy(apart.get(null) ?? [], (observation) => entryPath(observation));
  const kept: Observation[] = [];
  const left: (readonly [LeftOutReason, Observation])[] = [];
  for (const [reason, group] of apart) if (reason !== null) left.push(...group.map((one) => [reason, one] as const));
  for (const ofProcess of rest.values()) {
    const [ports, names] = [withOneOffPorts(ofProcess), oneOffNames(ofProcess)];
    for (const observation of ofProcess) {
      const reason = reasonOfTraffic(observation, ports, names);
      if (reason === null) kept.push(observation);
      else left.push([reason, observation]);
    }
  }
  return { kept, leftOut: leftOutOf(left) };
}

function reasonOfTraffic(
  observation: Observation,
  ports: ReadonlySet<Observation>,
  names: ReadonlySet<string>,
): LeftOutReason | null {
  if (ports.has(observation)) return "one-off-port";
  if (namesOf(observation).some((name) => names.has(name))) return "one-off-name";
  const { question } = observation;
  return question !== null && checkName(question.name) !== null ? "unlistable-name" : null;
}

function leftOutOf(left: readonly (readonly [LeftOutReason, Observation])[]): LeftOut[] {
  const groups = Map.groupBy(left, ([reason, observation]) => JSON.stringify([reason, entryPath(observation)]));
  return [...groups]
    .sort(([one], [other]) => compareText(one, other))
    .map(([, group]) => {
      const [reason, first] = group[0] as readonly [LeftOutReason, Observation];
      return { reason, path: entryPath(first), observations: group.map(([, observation]) => observation) };
    });
}

interface Entry {
  process: ProcessRules;
  evidence: RuleEvidence[];
  proposals: (Proposal & { kind: Generalization })[];
}

/** One for each executable; one for each container of it where they use it differently. */
function entriesOf(observations: readonly Observation[], context: RuleContext): Entry[] {
  const paths = [...Map.groupBy(observations, entryPath)].sort(([one], [other]) => compareText(one ?? "", other ?? ""));
  return paths.flatMap(([path, ofPath]) => {
    const together = entryOf(path as string, null, ofPath, context);
    const containers = Map.groupBy(ofPath, ({ subject }) => subject?.container ?? null);
    if (containers.size === 1 || containers.has(null)) return [together];
    const apart = [...containers]
      .sort(([one], [other]) => compareText(one ?? "", other ?? ""))
      .map(([container, group]) => entryOf(path as string, container, group, context));
    const isAlike = apart.every(({ process }) => isSame(process.network, apart[0]?.process.network));
    return isAlike ? [together] : apart;
  });
}

function isSame(one: Network | undefined, other: Network | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function entryOf(
  path: string,
  container: string | null,
  observations: readonly Observation[],
  context: RuleContext,
): Entry {
  const network: Network = {};
  const entry: Entry = { process: { path }, evidence: [], proposals: [] };
  if (container !== null) entry.process.container = container;
  if (observations.some(({ subject }) => subject?.modified)) entry.process.binary = "Any";
  for (const direction of ["egress", "ingress"] as const) {
    const group = observations.filter((observation) => observation.direction === direction);
    if (group.length === 0) continue;
    const { rules, evidence, proposals } = rulesOf(group, context);
    network[direction] = rules;
    const place: FieldPath = ["network", direction];
    entry.evidence.push(...evidence.map((item) => ({ ...item, path: [...place, ...item.path] })));
    entry.proposals.push(...proposals);
  }
  return { ...entry, process: { ...entry.process, network } };
}
