/** The options of `portcullis explain`, read into the question that they ask. */
import { UsageError } from "../../api/errors.ts";
import { checkName, normalizeName } from "../../api/names.ts";
import type { Question } from "../../policy/explain/explain.ts";
import type { Traffic } from "../../policy/explain/explain-layers.ts";
import type { Application } from "../../policy/reference/applications.ts";
import { parseIp } from "../../policy/table/addresses.ts";
import type { Subject } from "../../policy/table/subject.ts";
import { FORM, parseEndpointText } from "../values/endpoint-text.ts";
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
  ancestor: string[];
  user?: number;
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
  const { process: path, script, container, ephemeral, modified, ancestor, user, unattributed } = options;
  if (unattributed) {
    const given = path ?? script ?? container ?? user ?? (ephemeral || modified || ancestor.length > 0 || undefined);
    if (given !== undefined)
      throw new UsageError("--unattributed is traffic of no process; leave the other options of the process out");
    return null;
  }
  if (path === undefined) throw new UsageError("which process? give --process PATH, or --unattributed for none");
  for (const [option, value] of [
    ["--process", path],
    ["--script", script],
    ...ancestor.map((one) => ["--ancestor", one] as const),
  ] as const) {
    if (value !== undefined && !value.startsWith("/"))
      throw new UsageError(`${option} ${value}: write an absolute path`);
  }
  const executables = ancestor.map((one) => ({ path: one, modified: false }));
  return {
    ...{ path, script: script ?? null, container: container ?? null, ephemeral, modified },
    ancestry: { executables, incomplete: false },
    user: user ?? null,
  };
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

function parseEndpoint(text: string, option: string): NonNullable<Traffic["peer"]> {
  const endpoint = parseEndpointText(text);
  if (typeof endpoint === "string") throw new UsageError(`${option} ${text}: ${endpoint}`);
  const { host, protocol, port } = endpoint;
  const remote = parseIp(host);
  if (remote === null) throw new UsageError(`${option} ${text}: ${FORM}`);
  return { remote, protocol, port };
}
