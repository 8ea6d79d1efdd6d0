/** What each layer of one block says to given traffic, with the field and the value behind it. */
import type { Direction } from "../../api/reasons.ts";
import type { Application } from "../reference/applications.ts";
import { type Address, familyAddress, familyOf, formatIp } from "../table/addresses.ts";
import type { Block, PortRange } from "../table/blocks.ts";
import { expandPattern, matchesPattern } from "../table/names.ts";
import { PORT_MAX, PROTOCOL_NUMBERS, protocolName } from "../table/ports.ts";
import { contains, type Family, formatAddress, type Prefix } from "../table/prefixes.ts";
import type { Subject } from "../table/subject.ts";

/** In the order in which they are asked. `binary` is asked for changed files only, the next two where the entry has such a condition. */
export const LAYERS = ["binary", "ancestry", "user", "ethertype", "peer", "port", "application", "dns-name"] as const;
export type Layer = (typeof LAYERS)[number];

/** What is asked about: what a process of a workload sends or receives first. */
export interface Traffic {
  direction: Direction;
  /** Null: only whether a name may be asked, of whatever resolver. */
  peer: { remote: Address; protocol: number; port: number } | null;
  /** The name that the remote address was an answer to, if any. */
  resolved: string | null;
  /** The name that is asked, if it is a DNS question. */
  question: string | null;
  /** What the first payload is recognised as; "unknown" leaves that layer open. */
  application: Application | "none" | "unknown";
}

export interface LayerReport {
  layer: Layer;
  passed: boolean;
  /** What the traffic has, e.g. `10.0.0.1`. */
  asked: string;
  /** Field of the profile, below the block's, e.g. `cidr4`. */
  field: string;
  /** The entry that matched, or what is listed instead. */
  value: string;
}

/** All layers that the traffic is asked by, each by itself, whatever the others say. */
export function explainLayers(
  block: Block,
  traffic: Traffic,
  { process, searchDomains }: { process: Subject | null; searchDomains: string[] },
): LayerReport[] {
  const layers: LayerReport[] = process === null ? [] : explainConditions(block, process);
  if (traffic.peer !== null) {
    layers.push(explainFamily(block, familyOf(traffic.peer.remote)));
    layers.push(explainPeer(block, traffic.peer.remote, traffic));
    layers.push(explainPort(block, traffic.peer.protocol, traffic.peer.port));
  }
  const application = explainApplication(block, traffic);
  if (application !== null) layers.push(application);
  if (traffic.question !== null) layers.push(explainQuestion(block, traffic.question, searchDomains));
  return layers;
}

function explainBinary(block: Block): LayerReport {
  const value = block.anyBinary ? "Any" : "Image";
  return { layer: "binary", passed: block.anyBinary, asked: "a changed file", field: "binary", value };
}

function explainConditions(block: Block, process: Subject): LayerReport[] {
  const { ancestors, notAncestors, users } = block.conditions;
  return [
    ...(process.modified ? [explainBinary(block)] : []),
    ...(ancestors.length === 0 ? [] : [explainAncestors(block, process)]),
    ...(notAncestors.length === 0 ? [] : [explainNotAncestors(block, process)]),
    ...(users.length === 0 ? [] : [explainUser(block, process)]),
  ];
}

function explainAncestors({ conditions, anyBinary }: Block, { ancestry }: Subject): LayerReport {
  const found = ancestry?.executables.find(
    ({ path, modified }) => conditions.ancestors.includes(path) && (anyBinary || !modified),
  );
  const value = found?.path ?? listing(conditions.ancestors);
  return { layer: "ancestry", passed: found !== undefined, asked: ancestryText(ancestry), field: "ancestors", value };
}

function explainNotAncestors({ conditions }: Block, { ancestry }: Subject): LayerReport {
  const found = ancestry?.executables.find(({ path }) => conditions.notAncestors.includes(path));
  const passed = found === undefined && ancestry !== null && !ancestry.incomplete;
  const value = found?.path ?? listing(conditions.notAncestors);
  return { layer: "ancestry", passed, asked: ancestryText(ancestry), field: "notAncestors", value };
}

function explainUser({ conditions: { users } }: Block, { user }: Subject): LayerReport {
  const passed = user !== null && users.includes(user);
  const asked = user === null ? "a user that is not known" : `user ${user}`;
  return { layer: "user", passed, asked, field: "users", value: listing(users.map(String)) };
}

function ancestryText(ancestry: Subject["ancestry"]): string {
  if (ancestry === null) return "ancestors that are not known";
  const more = ancestry.incomplete ? " and more that are not known" : "";
  return `below ${listing(ancestry.executables.map(({ path }) => path))}${more}`;
}

function explainFamily(block: Block, family: Family): LayerReport {
  const passed = block.families.includes(family);
  const value = listing(block.families);
  return { layer: "ethertype", passed, asked: family, field: block.sources.families, value };
}

function explainPeer(block: Block, remote: Address, { resolved, direction }: Traffic): LayerReport {
  const family = familyOf(remote);
  const [field, prefixes] = family === "ipv4" ? ["cidr4", block.cidrs4] : ["cidr6", block.cidrs6];
  const host: Prefix = { address: familyAddress(remote, family), length: family === "ipv4" ? 32 : 128 };
  const asked = formatIp(remote);
  const prefix = prefixes.find((candidate) => contains(candidate, host, family));
  const text = (item: Prefix) => `${formatAddress(item.address, family)}/${item.length}`;
  if (prefix !== undefined) return { layer: "peer", passed: true, asked, field, value: text(prefix) };
  const peer = block.selected.find(({ cidrs4, cidrs6 }) =>
    (family === "ipv4" ? cidrs4 : cidrs6).some((candidate) => contains(candidate, host, family)),
  );
  if (peer !== undefined) return { layer: "peer", passed: true, asked, field: peer.field, value: peer.text };
  const pattern = resolved === null ? undefined : block.connect.find((item) => matchesPattern(item, resolved));
  if (pattern !== undefined) {
    return {
      layer: "peer",
      passed: true,
      asked: `${asked}, resolved from ${resolved}`,
      field: "fqdns",
      value: pattern,
    };
  }
  const lists = [
    ...(prefixes.length > 0 ? [`${field} ${listing(prefixes.map(text))}`] : []),
    ...(block.connect.length > 0 ? [`fqdns ${listing(block.connect)}`] : []),
    ...(block.selected.length > 0 ? [listing(block.selected.map(({ text }) => text))] : []),
  ];
  const names = direction === "egress" ? ["fqdns"] : [];
  const fields = [field, ...names, ...new Set(block.selected.map((item) => item.field.replace(/\[.*/, "")))];
  return { layer: "peer", passed: false, asked, field: fields.join(", "), value: lists.join("; ") || "nothing listed" };
}

function explainPort(block: Block, protocol: number, port: number): LayerReport {
  const asked = rangeText({ protocol, ...(port === 0 ? { first: 0, last: PORT_MAX } : { first: port, last: port }) });
  const range = block.ports.find((candidate) => matchesRange(candidate, protocol, port));
  const field = (item: PortRange) => (item.last - item.first === PORT_MAX ? "l4.protocols" : "l4.protocolPorts");
  if (range !== undefined) return { layer: "port", passed: true, asked, field: field(range), value: rangeText(range) };
  return { layer: "port", passed: false, asked, field: "l4", value: listing(block.ports.map(rangeText)) };
}

/** Null where the layer is not looked at: no such rule, no payload of an application, or nothing known of it. */
function explainApplication(block: Block, traffic: Traffic): LayerReport | null {
  const { application } = traffic;
  if (block.applications === null || !hasApplication(traffic)) return null;
  const value = listing(block.applications);
  const passed = application === "unknown" || (application !== "none" && block.applications.includes(application));
  const asked = application === "unknown" ? "if it is one of these" : application;
  return { layer: "application", passed, asked, field: "l7.protocols", value };
}

function explainQuestion({ ask, sources }: Block, name: string, searchDomains: string[]): LayerReport {
  const layer = "dns-name";
  if (ask === null) return { layer, passed: true, asked: name, field: "l7.dns", value: "any name" };
  const passed = ask.some((pattern) => matchesPattern(pattern, name));
  const listed = sources.names.find((pattern) => matchesPattern(pattern, name));
  const searched = sources.names.find((pattern) =>
    expandPattern(pattern, searchDomains).some((expanded) => matchesPattern(expanded, name)),
  );
  const value = listed ?? (searched === undefined ? listing(sources.names) : `${searched}, with a search domain`);
  return { layer, passed, asked: name, field: sources.ask, value };
}

/** Applications are looked for in TCP and UDP only. */
export function hasApplication({ peer }: Traffic): boolean {
  return peer === null || peer.protocol === PROTOCOL_NUMBERS.tcp || peer.protocol === PROTOCOL_NUMBERS.udp;
}

function matchesRange(range: PortRange, protocol: number, port: number): boolean {
  return range.protocol === null || (range.protocol === protocol && range.first <= port && port <= range.last);
}

function rangeText({ protocol, first, last }: PortRange): string {
  if (protocol === null) return "any";
  const name = protocolName(protocol);
  if (first === 0 && last === PORT_MAX) return name;
  return first === last ? `${name} ${first}` : `${name} ${first}-${last}`;
}

const LISTED_MAX = 5;

/** The first few of a list, and how many there are besides. */
function listing(values: readonly string[]): string {
  if (values.length === 0) return "nothing";
  const shown = values.slice(0, LISTED_MAX).join(", ");
  return values.length > LISTED_MAX ? `${shown} and ${values.length - LISTED_MAX} more` : shown;
}
