/**
 * One form for each meaning: `l7.dns` only, names in lower case without trailing dot, prefixes without host bits, no
 * repetitions, no empty lists that mean nothing, defaults written out.
 */
import { type AddressFamily, cidrText, parseCidr } from "./cidr.ts";
import { InternalError } from "./errors.ts";
import type { FieldPath, Finding } from "./fields.ts";
import { normalizeName } from "./names.ts";
import type {
  EgressRules,
  IngressRules,
  L4,
  L7,
  Network,
  ProcessRules,
  ProtocolPort,
  SecurityProfile,
  SecurityProfileSpec,
  ServicePeer,
} from "./types.ts";
import type { Located } from "./validation/structure.ts";
import type { WrittenNetwork, WrittenProcess, WrittenProfile, WrittenRules } from "./written-profile.ts";

/** Namespace of an object that names none, as with kubectl. */
export const DEFAULT_NAMESPACE = "default";

export interface Normalized {
  profile: SecurityProfile;
  /** What was changed that the author may not have meant. */
  warnings: Located[];
}

/** Normalises a profile that has no errors; the given object is not changed. */
export function normalizeProfile(written: WrittenProfile): Normalized {
  const warnings: Located[] = [];
  const { default: fallback, processes, ...rest } = written.spec;
  const spec: SecurityProfileSpec = structuredClone(rest);
  if (fallback) spec.default = normalizeNetwork(fallback, ["spec", "default"], warnings);
  if (processes) spec.processes = processes.map((entry, index) => normalizeProcess(entry, index, warnings));
  const metadata = { ...structuredClone(written.metadata), namespace: written.metadata.namespace ?? DEFAULT_NAMESPACE };
  const { apiVersion, kind } = written;
  return { profile: { apiVersion, kind, metadata, spec }, warnings };
}

function normalizeProcess(written: WrittenProcess, index: number, warnings: Located[]): ProcessRules {
  const entry: ProcessRules = { path: written.path, binary: written.binary ?? "Image" };
  if (written.container) entry.container = written.container;
  const at = (field: string): FieldPath => ["spec", "processes", index, field];
  if (written.ancestors) entry.ancestors = distinct(written.ancestors, String, at("ancestors"), warnings);
  if (written.notAncestors) entry.notAncestors = distinct(written.notAncestors, String, at("notAncestors"), warnings);
  if (written.users) entry.users = distinct(written.users, String, at("users"), warnings);
  if (written.network) {
    entry.network = normalizeNetwork(written.network, ["spec", "processes", index, "network"], warnings);
  }
  return entry;
}

function normalizeNetwork(written: WrittenNetwork, path: FieldPath, warnings: Located[]): Network {
  const network: Network = {};
  if (written.egress) network.egress = normalizeEgress(written.egress, [...path, "egress"], warnings);
  if (written.ingress) network.ingress = normalizeRules(written.ingress, [...path, "ingress"], warnings);
  return network;
}

function normalizeEgress(written: WrittenRules, path: FieldPath, warnings: Located[]): EgressRules {
  const rules: EgressRules = normalizeRules(written, path, warnings);
  const fqdns = normalizeNames(written.fqdns ?? [], [...path, "fqdns"], warnings);
  if (fqdns.length > 0) rules.fqdns = fqdns;
  const services = distinct(written.services ?? [], serviceText, [...path, "services"], warnings);
  if (services.length > 0) rules.services = structuredClone(services);
  const peers = distinct(written.peers ?? [], String, [...path, "peers"], warnings);
  if (peers.length > 0) rules.peers = [...peers];
  const dns = written.l7?.dns ?? written.dns;
  if (dns === undefined) return rules;
  const at = written.l7?.dns ? [...path, "l7", "dns"] : [...path, "dns"];
  rules.l7 = { ...rules.l7, dns: normalizeNames(dns, at, warnings) };
  return rules;
}

function normalizeRules(written: WrittenRules, path: FieldPath, warnings: Located[]): IngressRules {
  const rules: IngressRules = {};
  const cidr4 = normalizeCidrs(written.cidr4 ?? [], 4, [...path, "cidr4"], warnings);
  if (cidr4.length > 0) rules.cidr4 = cidr4;
  const cidr6 = normalizeCidrs(written.cidr6 ?? [], 6, [...path, "cidr6"], warnings);
  if (cidr6.length > 0) rules.cidr6 = cidr6;
  const pods = distinct(written.pods ?? [], (peer) => JSON.stringify(peer), [...path, "pods"], warnings);
  if (pods.length > 0) rules.pods = structuredClone(pods);
  if (written.l3?.protocols) rules.l3 = { protocols: [...written.l3.protocols] };
  if (written.l4) rules.l4 = normalizeL4(written.l4, [...path, "l4"], warnings);
  const l7: L7 = written.l7?.protocols ? { protocols: [...written.l7.protocols] } : {};
  if (l7.protocols) rules.l7 = l7;
  return rules;
}

function normalizeL4(written: L4, path: FieldPath, warnings: Located[]): L4 {
  const l4: L4 = {};
  if (written.protocols) l4.protocols = [...written.protocols];
  const at = [...path, "protocolPorts"];
  const ports = distinct(written.protocolPorts ?? [], portText, at, warnings).map(({ protocol, port, endPort }) => ({
    protocol,
    port,
    ...(endPort === undefined ? {} : { endPort }),
  }));
  if (ports.length > 0) l4.protocolPorts = ports;
  return l4;
}

function serviceText({ name, namespace }: ServicePeer): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function portText({ protocol, port, endPort }: ProtocolPort): string {
  return endPort === undefined || endPort === port ? `${protocol} ${port}` : `${protocol} ${port} to ${endPort}`;
}

function normalizeNames(written: readonly string[], path: FieldPath, warnings: Located[]): string[] {
  return distinct(written.map(normalizeName), (name) => name, path, warnings);
}

function normalizeCidrs(
  written: readonly string[],
  family: AddressFamily,
  path: FieldPath,
  warnings: Located[],
): string[] {
  const canonical = written.map((text, index) => {
    const cidr = parseCidr(text, family);
    if ("code" in cidr) throw new InternalError(`normalizeProfile was given a profile with errors: ${cidr.message}`);
    if (cidr.masked) warnings.push({ path: [...path, index], finding: hostBits(text, cidrText(cidr)) });
    return cidrText(cidr);
  });
  return distinct(canonical, (text) => text, path, warnings);
}

function hostBits(text: string, canonical: string): Finding {
  return {
    code: "PC_CIDR_HOST_BITS",
    message: `"${text}" has bits set behind its prefix and is read as "${canonical}"`,
    remedy: `write "${canonical}", or the prefix length that is meant`,
  };
}

/** The entries without repetitions, first ones first; each repetition is a warning at its own place. */
function distinct<T>(entries: readonly T[], text: (entry: T) => string, path: FieldPath, warnings: Located[]): T[] {
  const seen = new Set<string>();
  return entries.filter((entry, index) => {
    const key = text(entry);
    if (!seen.has(key)) return seen.add(key);
    const mend = { remove: index };
    const finding: Finding = {
      code: "PC_ENTRY_DUPLICATE",
      message: `${key} is listed twice`,
      remedy: "take one away",
      mend,
    };
    warnings.push({ path: [...path, index], finding });
    return false;
  });
}
