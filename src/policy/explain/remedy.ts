/**
 * The smallest change of a profile that would allow what it denies. A change is an addition: lists grow, absent fields
 * appear, nothing is taken away. Each one is tried: what `remedyOf` returns has been judged again, and is allowed.
 */
import type { Reason } from "../../api/reasons.ts";
import type {
  EgressRules,
  L4Protocol,
  L4ProtocolName,
  L7Protocol,
  Network,
  ProcessRules,
  ProtocolPort,
  SecurityProfile,
} from "../../api/types.ts";
import { type CompileOptions, profileName } from "../compile/compile.ts";
import { familyOf, formatIp, parseIp } from "../table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import { selects } from "../table/selection.ts";
import type { Subject } from "../table/subject.ts";
import { type BlockReport, type Explanation, explain, type Question } from "./explain.ts";
import type { Layer, Traffic } from "./explain-layers.ts";

/** What to add, and where. */
export interface Remedy {
  /** `namespace/name` of the profile. */
  profile: string;
  /** Field that grows, e.g. `spec.processes[0]`. */
  field: string;
  /** As the field would hold it; lists are appended to those that are there. */
  add: object;
}

/** Violations of rules. The others are faults of the packet or of the node, which no rule allows. */
export const RULE_REASONS: ReadonlySet<Reason> = new Set([
  "Ethertype",
  "Peer",
  "Port",
  "Application",
  "DnsName",
  "BinaryUnknown",
  "BinaryModified",
  "Unattributed",
]);

/** One layer may hide the next: the payload of a new entry, say. More rounds than layers change nothing. */
const ROUNDS_MAX = 4;
const DNS_PORT = 53;

/** Null where no addition allows it, or where it is allowed already. */
export function remedyOf(profiles: SecurityProfile[], question: Question, options: CompileOptions): Remedy | null {
  let explanation = explain(profiles, question, options);
  const target = RULE_REASONS.has(explanation.reason) ? targetOf(profiles, question, explanation, options) : null;
  if (target === null) return null;
  let changed = profiles;
  let add: object = {};
  for (let round = 0; round < ROUNDS_MAX && !explanation.allowed; round++) {
    const addition = additionFor(target, explanation, question, changed, options.resolvers ?? []);
    if (addition === null) return null;
    add = append(add, addition) as object;
    changed = profiles.map((profile) =>
      profileName(profile) === target.profile ? withRemedy(profile, { ...target, add }) : profile,
    );
    explanation = explain(changed, question, options);
  }
  return explanation.allowed ? { profile: target.profile, field: target.field, add } : null;
}

/** The entry that is to grow: the nearest one of those that judge, or a new one of the first profile that selects. */
function targetOf(
  profiles: SecurityProfile[],
  { workload, process }: Question,
  explanation: Explanation,
  { files = () => [] }: CompileOptions,
) {
  const nearest = nearestBlock(explanation);
  if (nearest !== null && explanation.judgedBy === "process") {
    return { profile: nearest.profile, field: entryField(nearest.field) };
  }
  const selecting = profiles.filter((profile) => selects(profile, workload).selected);
  const listed = listedEntry(selecting, process, files);
  if (explanation.judgedBy === "process") return listed;
  // A `default` that is absent lets neighbour discovery pass; one that is added would have to repeat that.
  if (process === null) return nearest === null ? null : { profile: nearest.profile, field: "spec.default" };
  if (listed !== null) return listed;
  const first = selecting[0];
  return first === undefined || process.path === null ? null : { profile: profileName(first), field: "spec" };
}

/** The block that denies the fewest layers. */
function nearestBlock({ blocks }: Explanation): BlockReport | null {
  const denials = (block: BlockReport) => block.layers.filter(({ passed }) => !passed).length;
  return blocks.toSorted((one, other) => denials(one) - denials(other))[0] ?? null;
}

function listedEntry(
  profiles: SecurityProfile[],
  process: Subject | null,
  files: (path: string) => readonly string[],
): Omit<Remedy, "add"> | null {
  const names = process === null ? [] : [process.path, process.script].filter((name) => name !== null);
  for (const profile of profiles) {
    const index = (profile.spec.processes ?? []).findIndex(
      ({ path, container }) =>
        names.some((name) => name === path || files(path).includes(name)) &&
        (container === undefined || container === process?.container),
    );
    if (index >= 0) return { profile: profileName(profile), field: `spec.processes[${index}]` };
  }
  return null;
}

/** `spec.processes[0].network.egress` -> `spec.processes[0]` */
function entryField(field: string): string {
  return field.replace(/(\.network)?\.(egress|ingress)$/, "");
}

function additionFor(
  target: Omit<Remedy, "add">,
  explanation: Explanation,
  { process, traffic }: Question,
  profiles: SecurityProfile[],
  resolvers: readonly string[],
): object | null {
  const block = explanation.blocks.find(
    ({ profile, field }) => profile === target.profile && entryField(field) === target.field,
  );
  if (target.field === "spec") return { processes: [newEntry(process as Subject, traffic, resolvers)] };
  // Until then the file is judged by `default`, whose denials say nothing of the entry's.
  if (process?.modified === true && target.field !== "spec.default" && !hasAnyBinary(profiles, target)) {
    return { binary: "Any" };
  }
  const failed = block?.layers.filter(({ passed }) => !passed).map(({ layer }) => layer) ?? allLayers(traffic);
  const names = namesOf(egressOf(profiles, target));
  // With the way to the resolver comes the first name, or every name could be asked.
  const layers =
    names === "not asked" && traffic.question !== null ? new Set([...failed, "dns-name" as const]) : failed;
  const known = names === "any" ? { ...traffic, resolved: null } : traffic;
  const rules = [...layers].reduce<EgressRules>(
    (sum, layer) => append(sum, ruleFor(layer, known, block, resolvers)) as EgressRules,
    {},
  );
  if (Object.keys(rules).length === 0) return null;
  const network: Network = { [traffic.direction]: rules };
  return target.field === "spec.default" ? network : { network };
}

/** The egress rules that are to grow. */
function egressOf(profiles: SecurityProfile[], { profile, field }: Omit<Remedy, "add">): EgressRules | undefined {
  const spec = profiles.find((candidate) => profileName(candidate) === profile)?.spec;
  const index = Number(/\[(\d+)\]/.exec(field)?.[1]);
  const network = field === "spec.default" ? spec?.default : spec?.processes?.[index]?.network;
  return network?.egress;
}

/**
 * Which names rules let be asked: those that they list, or, if there is none, `any`: a first one would take that away. `not asked`: the
 * rules have no DNS port, either.
 */
function namesOf(rules: EgressRules | undefined): "listed" | "any" | "not asked" {
  const { fqdns = [], l4, l7 } = rules ?? {};
  if (fqdns.length > 0 || l7?.dns !== undefined) return "listed";
  const isDns = ({ protocol, port, endPort = port }: ProtocolPort) =>
    (protocol === "udp" || protocol === "tcp") && port <= DNS_PORT && DNS_PORT <= endPort;
  const isWhole = (protocol: L4Protocol) => ["any", "udp", "tcp", 6, 17].includes(protocol);
  return l4?.protocols?.some(isWhole) || l4?.protocolPorts?.some(isDns) ? "any" : "not asked";
}

function newEntry(process: Subject, traffic: Traffic, resolvers: readonly string[]): ProcessRules {
  const rules = allLayers(traffic).reduce<EgressRules>(
    (sum, layer) => append(sum, ruleFor(layer, traffic, undefined, resolvers)) as EgressRules,
    {},
  );
  return {
    path: process.script ?? (process.path as string),
    ...(process.container === null ? {} : { container: process.container }),
    ...(process.modified ? { binary: "Any" as const } : {}),
    network: { [traffic.direction]: rules },
  };
}

/** The layers that a block without any rule denies. */
function allLayers({ peer, question }: Traffic): Layer[] {
  return [...(peer === null ? [] : (["peer", "port"] as const)), ...(question === null ? [] : (["dns-name"] as const))];
}

/** What a block would have to list for one layer to pass. */
function ruleFor(
  layer: Layer,
  traffic: Traffic,
  block: BlockReport | undefined,
  resolvers: readonly string[],
): EgressRules {
  switch (layer) {
    case "ethertype":
      return familyRule(traffic, block);
    case "peer":
      return peerRule(traffic, resolvers);
    case "port":
      return portRule(traffic);
    case "application":
      return { l7: { protocols: [applicationOf(traffic)] } };
    case "dns-name":
      return questionRule(traffic.question as string, block);
    case "binary":
    case "ancestry":
    case "user":
      return {};
  }
}

/** Only where families are listed: elsewhere the peers imply them, and a first list would shut out the others. */
function familyRule({ peer }: Traffic, block: BlockReport | undefined): EgressRules {
  const isListed = block?.layers.some(({ field }) => field === "l3.protocols") ?? false;
  return peer === null || !isListed ? {} : { l3: { protocols: [familyOf(peer.remote)] } };
}

/** By name where the process has resolved one, and the resolver by what it is: an address may move. */
function peerRule({ peer, resolved, direction }: Traffic, resolvers: readonly string[]): EgressRules {
  if (peer === null) return {};
  if (direction === "egress" && resolvers.some((text) => parseIp(text) === peer.remote)) return { peers: ["resolver"] };
  if (resolved !== null && direction === "egress") return { fqdns: [resolved] };
  const address = formatIp(peer.remote);
  return familyOf(peer.remote) === "ipv4" ? { cidr4: [`${address}/32`] } : { cidr6: [`${address}/128`] };
}

const PORT_PROTOCOLS = ["tcp", "udp", "sctp"] as const;

function portRule({ peer }: Traffic): EgressRules {
  if (peer === null) return {};
  const withPort = PORT_PROTOCOLS.find((name) => PROTOCOL_NUMBERS[name] === peer.protocol);
  if (withPort !== undefined) return { l4: { protocolPorts: [{ protocol: withPort, port: peer.port }] } };
  const name = Object.entries(PROTOCOL_NUMBERS).find(([, number]) => number === peer.protocol)?.[0];
  return { l4: { protocols: [(name as L4ProtocolName | undefined) ?? peer.protocol] } };
}

/** What is recognised as nothing can only be let pass with everything else. */
function applicationOf({ application }: Traffic): L7Protocol {
  return application === "none" || application === "unknown" ? "any" : application;
}

/** Beside the list that is in force: a first `l7.dns` would take the place of the names in `fqdns`. */
function questionRule(name: string, block: BlockReport | undefined): EgressRules {
  const source = block?.layers.find(({ layer }) => layer === "dns-name")?.field;
  return source === "l7.dns" ? { l7: { dns: [name] } } : { fqdns: [name] };
}

function hasAnyBinary(profiles: SecurityProfile[], target: Omit<Remedy, "add">): boolean {
  const profile = profiles.find((candidate) => profileName(candidate) === target.profile);
  const index = Number(/\[(\d+)\]/.exec(target.field)?.[1]);
  return profile?.spec.processes?.[index]?.binary === "Any";
}

/** The profile with the addition in it. */
export function withRemedy(profile: SecurityProfile, { field, add }: Pick<Remedy, "field" | "add">): SecurityProfile {
  const { spec } = profile;
  if (field === "spec") return { ...profile, spec: append(spec, add) as SecurityProfile["spec"] };
  if (field === "spec.default") return { ...profile, spec: append(spec, { default: add }) as SecurityProfile["spec"] };
  const index = Number(/\[(\d+)\]/.exec(field)?.[1]);
  const processes = (spec.processes ?? []).map((entry, place) =>
    place === index ? (append(entry, add) as ProcessRules) : entry,
  );
  return { ...profile, spec: { ...spec, processes } };
}

/** `add` within `value`: lists one behind the other without what is there already, objects field by field, anything else replaced. */
function append(value: unknown, add: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(add)) {
    const known = new Set(value.map((item) => JSON.stringify(item)));
    return [...value, ...add.filter((item) => !known.has(JSON.stringify(item)))];
  }
  if (isObject(value) && isObject(add)) {
    const grownFields = Object.entries(add).map(([key, item]) => [key, key in value ? append(value[key], item) : item]);
    return { ...value, ...Object.fromEntries(grownFields) };
  }
  return add;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
