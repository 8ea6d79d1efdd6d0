/** A case of a policy test, as the questions that it asks of the profiles. */
import { checkName, normalizeName } from "../../api/names.ts";
import type { CompileOptions } from "../../policy/compile/compile.ts";
import type { Question } from "../../policy/explain/explain.ts";
import type { Listening } from "../../policy/explain/listen.ts";
import { parseIp } from "../../policy/table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../../policy/table/ports.ts";
import type { Subject } from "../../policy/table/subject.ts";
import { type EndpointText, parseEndpointText, parsePortText } from "../values/endpoint-text.ts";
import type { Fault } from "./check-format.ts";
import type { PolicyTest, TestCase, TestPod } from "./format.ts";
import { type Host, hostOf, labelledPod, peersOf } from "./surroundings.ts";

/** What a case asks, one thing after the other: a name before the addresses that it has. */
export interface Asked {
  questions: Question[];
  listening: Listening | null;
  options: CompileOptions;
}

/** Which fields say what happens; a case has one of these sets. */
const WAYS = ["to", "from", "dns", "dns and to", "listen"];
const DNS_PORT = 53;

/** @param index of the case in the test. @returns the questions, or what is wrong with its fields */
export function questionsOf(test: PolicyTest, index: number): Asked | Fault[] {
  const { [index]: item } = test.cases;
  if (item === undefined) return [];
  const faults: Fault[] = [];
  const fault = (field: string, message: string) => faults.push({ path: ["cases", index, field], message });
  const pod = Object.hasOwn(test.pods, item.pod) ? test.pods[item.pod] : undefined;
  if (pod === undefined) fault("pod", `"${item.pod}" is none of pods: ${Object.keys(test.pods).join(", ")}`);
  const process = subjectOf(item, fault);
  checkExpectation(item, fault);
  const traffic = pod === undefined ? [] : trafficOf(test, item, pod, fault);
  const listening = item.listen === undefined ? null : listenedPort(item, fault);
  if (faults.length > 0 || pod === undefined) return faults;
  const workload = labelledPod(pod);
  return {
    questions: traffic.map((one) => ({ workload, process, traffic: one })),
    listening: listening === null || process === null ? null : { workload, process, ...listening },
    options: optionsOf(test, pod),
  };
}

function optionsOf(test: PolicyTest, { resolvers = [], searchDomains = [], links = {} }: TestPod): CompileOptions {
  const files = (path: string) => (links[path] === undefined ? [] : [links[path]]);
  return { resolvers, searchDomains, files, peers: peersOf(test) };
}

type Complain = (field: string, message: string) => void;

function subjectOf(item: TestCase, fault: Complain): Subject | null {
  const { process: path, unattributed, script, container, ephemeral = false, modified = false } = item;
  const { ancestors = [], user = null } = item;
  if (unattributed) {
    if ((path ?? script ?? container) !== undefined || ephemeral || modified || ancestors.length > 0 || user !== null) {
      fault("unattributed", "is traffic of no process; leave the other fields of the process out");
    }
    if (item.listen !== undefined) fault("listen", "is what a process does; leave unattributed out");
    return null;
  }
  if (path === undefined) fault("process", "is missing; write the path of the executable, or unattributed: true");
  return {
    ...{ path: path ?? null, script: script ?? null, container: container ?? null, ephemeral, modified },
    ancestry: { executables: ancestors.map((one) => ({ path: one, modified: false })), incomplete: false },
    user,
  };
}

function checkExpectation({ expect, reason, rule }: TestCase, fault: Complain): void {
  const isRefused = expect !== "allow" && expect !== "unjudged";
  if (reason !== undefined && !isRefused) fault("reason", `goes with alert, deny and count, not with ${expect}`);
  if (rule !== undefined && expect !== "allow") fault("rule", `is who allows it, and goes with allow, not ${expect}`);
}

/** Everything that is sent or received, in order. */
function trafficOf(test: PolicyTest, item: TestCase, pod: TestPod, fault: Complain): Question["traffic"][] {
  const { to, from, dns, listen, resolved, application } = item;
  const way = [dns === undefined ? null : "dns", to === undefined ? null : "to", from === undefined ? null : "from"]
    .concat(listen === undefined ? null : "listen")
    .filter((name) => name !== null)
    .join(" and ");
  if (!WAYS.includes(way)) {
    fault(way === "" ? "to" : (way.split(" ").at(-1) ?? "to"), `a case has one of: ${WAYS.join("; ")}`);
    return [];
  }
  if (resolved !== undefined && way !== "to") fault("resolved", "goes with to, and an address there");
  if (application !== undefined && (way === "listen" || dns !== undefined))
    fault("application", "goes with to and from");
  const plain = { resolved: null, question: null, application: application ?? "unknown" } as const;
  if (dns !== undefined) return asking(test, pod, { name: dns, to }, fault);
  if (from !== undefined) {
    const { host, endpoint } = place(test, from, "from", fault);
    return peers(host, endpoint).map((peer) => ({ ...plain, direction: "ingress", peer }));
  }
  if (to === undefined) return [];
  const { host, endpoint } = place(test, to, "to", fault);
  const name = resolved === undefined ? host.name : checkedName(resolved, "resolved", fault);
  const sent = peers(host, endpoint).map((peer) => ({
    ...plain,
    direction: "egress" as const,
    peer,
    resolved: name && normalizeName(name),
  }));
  return host.name === null ? sent : [...asking(test, pod, { name: host.name }, fault), ...sent];
}

/** A question to the resolver that is given, to the pod's own, or to any. */
function asking(
  test: PolicyTest,
  { resolvers = [] }: TestPod,
  { name, to }: { name: string; to?: string | undefined },
  fault: Complain,
): Question["traffic"][] {
  const question = checkedName(name, "dns", fault);
  const asked = { direction: "egress", resolved: null, question, application: "dns" } as const;
  if (to !== undefined) {
    const { host, endpoint } = place(test, to, "to", fault);
    return peers(host, endpoint).map((peer) => ({ ...asked, peer }));
  }
  const [first] = resolvers.map(parseIp).filter((address) => address !== null);
  const peer = first === undefined ? null : { remote: first, protocol: PROTOCOL_NUMBERS.udp, port: DNS_PORT };
  return [{ ...asked, peer }];
}

function checkedName(text: string, field: string, fault: Complain): string {
  const name = normalizeName(text);
  const finding = checkName(name);
  if (finding !== null) fault(field, `${finding.message}; ${finding.remedy}`);
  else if (name.includes("*")) fault(field, `"${text}" is a pattern; write one name`);
  return name;
}

const NOWHERE: { host: Host; endpoint: EndpointText } = {
  host: { addresses: [], name: null },
  endpoint: { host: "", protocol: 0, port: 0 },
};

function place(test: PolicyTest, text: string, field: string, fault: Complain): typeof NOWHERE {
  const endpoint = parseEndpointText(text);
  const host = typeof endpoint === "string" ? endpoint : hostOf(test, endpoint.host);
  if (typeof endpoint === "string" || typeof host === "string") {
    fault(field, `"${text}": ${typeof host === "string" ? host : ""}`);
    return NOWHERE;
  }
  return { host, endpoint };
}

function peers({ addresses }: Host, { protocol, port }: EndpointText) {
  return addresses.map((remote) => ({ remote, protocol, port }));
}

function listenedPort({ listen = "" }: TestCase, fault: Complain): { protocol: number; port: number } | null {
  const parsed = parsePortText(listen);
  if (typeof parsed !== "string") return parsed;
  fault("listen", `"${listen}": ${parsed}`);
  return null;
}
