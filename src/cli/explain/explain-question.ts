/** The options of `portcullis explain`, read into the question that they ask. */
import { UsageError } from "../../api/errors.ts";
import { checkName, normalizeName } from "../../api/names.ts";
import type { Question } from "../../policy/explain/explain.ts";
import type { Traffic } from "../../policy/explain/explain-layers.ts";
import type { Application } from "../../policy/reference/applications.ts";
import { parseIp } from "../../policy/table/addresses.ts";
import { PORT_MAX, PROTOCOL_NUMBERS } from "../../policy/table/ports.ts";
import type { Subject } from "../../policy/table/subject.ts";
import { labelsOf, type PeerOptions } from "./explain-peers.ts";

export interface ExplainOptions extends PeerOptions {
  /** File of events; it takes the place of the options below. */
  event?: string;
  label: string[];
  process?: string;
  unattributed: boolean;
  script?: string;
  container?: string;
  ephemeral: boolean;
  modified: boolean;
  to?: string;
  from?: string;
  dns?: string;
  resolved?: string;
  application?: Application | "none";
  searchDomain: string[];
  resolver: string[];
  link: string[];
  output: "text" | "json";
}

/** @throws UsageError naming the option that is missing, superfluous or cannot be read. */
export function parseQuestion(options: ExplainOptions): Question {
  return {
    workload: { namespace: options.namespace, labels: labelsOf(options.label, "--label") },
    process: parseProcess(options),
    traffic: parseTraffic(options),
  };
}

function parseProcess(options: ExplainOptions): Subject | null {
  const { process: path, script, container, ephemeral, modified, unattributed } = options;
  if (unattributed) {
    const given = path ?? script ?? container ?? (ephemeral || modified || undefined);
    if (given !== undefined)
      throw new UsageError("--unattributed is traffic of no process; leave the other options of the process out");
    return null;
  }
  if (path === undefined) throw new UsageError("which process? give --process PATH, or --unattributed for none");
  for (const [option, value] of [
    ["--process", path],
    ["--script", script],
  ] as const) {
    if (value !== undefined && !value.startsWith("/"))
      throw new UsageError(`${option} ${value}: write an absolute path`);
  }
  return { path, script: script ?? null, container: container ?? null, ephemeral, modified };
}

function parseTraffic(options: ExplainOptions): Traffic {
  const { to, from, dns, resolved, application } = options;
  if (to === undefined && from === undefined && dns === undefined) {
    throw new UsageError("what traffic? give --to, --from or --dns");
  }
  if (from !== undefined && (to ?? dns ?? resolved) !== undefined) {
    throw new UsageError("--from is what others begin; it goes with none of --to, --dns and --resolved");
  }
  if (resolved !== undefined && to === undefined) throw new UsageError("--resolved needs the address: give --to");
  const endpoint = to ?? from;
  return {
    direction: from === undefined ? "egress" : "ingress",
    peer: endpoint === undefined ? null : parseEndpoint(endpoint, to === undefined ? "--from" : "--to"),
    resolved: resolved === undefined ? null : parseName(resolved, "--resolved"),
    question: dns === undefined ? null : parseName(dns, "--dns"),
    application: dns === undefined ? (application ?? "unknown") : "dns",
  };
}

function parseName(text: string, option: string): string {
  const name = normalizeName(text);
  const finding = checkName(name);
  if (finding !== null) throw new UsageError(`${option} ${text}: ${finding.message}; ${finding.remedy}`);
  if (name.includes("*")) throw new UsageError(`${option} ${text}: write one name, not a pattern`);
  return name;
}

const WITH_PORTS = new Set<number>([PROTOCOL_NUMBERS.tcp, PROTOCOL_NUMBERS.udp, PROTOCOL_NUMBERS.sctp]);

/** `address[:port][/protocol]`, an IPv6 address with a port in brackets; the protocol is tcp where none is given. */
function parseEndpoint(text: string, option: string): NonNullable<Traffic["peer"]> {
  const [place = "", protocolText = "tcp", ...more] = text.split("/");
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(place) ?? /^([0-9.]+):(\d{1,5})$/.exec(place);
  const remote = more.length > 0 ? null : parseIp(bracketed?.[1] ?? place);
  if (remote === null) {
    throw new UsageError(
      `${option} ${text}: write address:port/protocol, e.g. 10.0.0.7:80/tcp or [2001:db8::1]:53/udp`,
    );
  }
  const protocol = protocolNumber(protocolText, `${option} ${text}`);
  const port = Number(bracketed?.[2] ?? 0);
  if (port > PORT_MAX) throw new UsageError(`${option} ${text}: ports end at ${PORT_MAX}`);
  const hasPorts = WITH_PORTS.has(protocol);
  if (hasPorts && port === 0) throw new UsageError(`${option} ${text}: which port? write address:port/protocol`);
  if (!hasPorts && port !== 0) throw new UsageError(`${option} ${text}: ${protocolText} has no ports`);
  return { remote, protocol, port };
}

function protocolNumber(text: string, option: string): number {
  const known: Record<string, number> = PROTOCOL_NUMBERS;
  const number = Object.hasOwn(known, text) ? known[text] : /^\d{1,3}$/.test(text) ? Number(text) : undefined;
  if (number === undefined || number > 255) {
    throw new UsageError(`${option}: the protocol is one of ${Object.keys(known).join(", ")}, or a number to 255`);
  }
  return number;
}
