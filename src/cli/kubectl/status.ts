/** `kubectl portcullis status`: show whether the profiles are enforced, and which agents and operators are running. */

import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { jsonText, printableLines } from "../../api/printable.ts";
import { OPERATOR_AWAY } from "../../operator/profiles/profile-status.ts";
import { fold } from "../../terminal/fit.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { agents, isForbidden, Kubectl, KubectlError, type KubeObject } from "./kubectl.ts";
import { type OperatorState, operatorState } from "./operator-lease.ts";
import {
  addClusterAccess,
  addSystemAccess,
  type ClusterAccess,
  namespaceArguments,
  type SystemAccess,
} from "./options.ts";

interface StatusOptions extends ClusterAccess, SystemAccess {
  allNamespaces: boolean;
  output: "text" | "json";
}

/** What `--output json` prints. */
interface StatusReport {
  /** Nothing is amiss, as far as could be seen. */
  ok: boolean;
  profiles: ProfileState[];
  /** Null: one may not see nodes, or agents. */
  nodes: { name: string; problem: string | null }[] | null;
  /** Null: one may not see its Lease. */
  operator: OperatorState | null;
}

interface ProfileState {
  namespace: string;
  name: string;
  /** Null: it is in force on all that it selects. */
  problem: string | null;
  /** Nobody knows whether it is, because no operator is running. */
  isUnknown: boolean;
  /** As the operator has written it. */
  status: object;
}

const NOTE = `
Nodes, agents and the operator are left out where one may not see them. What status says is what
the operator has written last: where none has renewed its Lease for a minute, the report says of
which time that is.

${exitStatusHelp({
  0: "all is well",
  1: "a profile is not enforced, a node has no working agent, or the cluster cannot be asked",
  3: "no operator is running: whether profiles are enforced is not known; nothing else is wrong",
})}`;

export function statusCommand(): Command {
  return addSystemAccess(addClusterAccess(new Command("status")))
    .summary("show whether the profiles are enforced, and which agents and operators are running")
    .description(
      "Shows SecurityProfiles and whether they are enforced, or everything about one profile; nodes without a working " +
        "agent; and since when no operator is running.",
    )
    .argument("[profile]", "all about one profile")
    .option("-A, --all-namespaces", "profiles of all namespaces", false)
    .addOption(new Option("-o, --output <format>", "format of the report").choices(["text", "json"]).default("text"))
    .addHelpText("after", NOTE)
    .action(async (profile: string | undefined, options: StatusOptions) => {
      if (profile !== undefined && options.allNamespaces) {
        throw new UsageError("one profile is of one namespace: leave --all-namespaces out");
      }
      const kubectl = new Kubectl(options);
      const operator = await operatorState(kubectl, options.systemNamespace);
      if (profile === undefined) showAll(kubectl, options, operator);
      else showOne(kubectl, profile, options, operator);
    });
}

function showOne(kubectl: Kubectl, name: string, options: StatusOptions, operator: OperatorState | null): void {
  const state = stateOf(kubectl.object("securityprofile", name, ...namespaceArguments(options)));
  if (options.output === "json") printJson({ ...state, operator });
  else {
    const described = kubectl.text("describe", "securityprofile", name, ...namespaceArguments(options));
    process.stdout.write(
      `${printableLines([described.trimEnd(), ...folded(operatorLines(operator), lineWidth(process.stdout))].join("\n"))}\n`,
    );
  }
  process.exitCode = exitStatus([state], operator);
}

function showAll(kubectl: Kubectl, options: StatusOptions, operator: OperatorState | null): void {
  const scope = options.allNamespaces ? ["--all-namespaces"] : namespaceArguments(options);
  const profiles = kubectl.list("securityprofiles", ...scope).map(stateOf);
  const nodes = nodeStates(kubectl, options.systemNamespace);
  const states = [...profiles, ...(nodes ?? [])];
  const ok = exitStatus(states, operator) === ExitStatus.GOOD;
  if (options.output === "json") printJson({ ok, profiles, nodes, operator } satisfies StatusReport);
  else {
    const table = profiles.length === 0 ? "" : kubectl.text("get", "securityprofiles", ...scope, "--output=wide");
    const text = reportText(profiles, nodes, operator, lineWidth(process.stdout));
    process.stdout.write(printableLines(`${table === "" ? "no SecurityProfiles\n" : table}\n${text}\n`));
  }
  process.exitCode = exitStatus(states, operator);
}

function exitStatus(
  states: readonly { problem: string | null; isUnknown?: boolean }[],
  operator: OperatorState | null,
): number {
  const amiss = states.filter(({ problem }) => problem !== null);
  if (amiss.some(({ isUnknown = false }) => !isUnknown)) return ExitStatus.NO;
  return amiss.length === 0 && (operator?.problem ?? null) === null ? ExitStatus.GOOD : ExitStatus.INCOMPLETE;
}

function printJson(value: object): void {
  process.stdout.write(`${jsonText(value, 2)}\n`);
}

const WANTED = ["Accepted", "Enforced"];

function stateOf({ metadata, status = {} }: KubeObject): ProfileState {
  const { name, namespace = "default", generation } = metadata;
  const { conditions = [], observedGeneration } = status;
  const failed = WANTED.map((type) => conditions.find((condition) => condition.type === type)).find(
    (condition) => condition !== undefined && condition.status !== "True",
  );
  const problem =
    conditions.length === 0 || observedGeneration !== generation
      ? "the operator has not looked at it yet; is it running?"
      : failed === undefined
        ? null
        : `${failed.type} is ${failed.status}: ${failed.message || failed.reason}`;
  const isUnknown = failed?.status === "Unknown" && failed.reason === OPERATOR_AWAY;
  return { namespace, name, problem, isUnknown, status };
}

/** Each node, and what keeps changes from it; null where one may not see that. */
function nodeStates(kubectl: Kubectl, systemNamespace: string): StatusReport["nodes"] {
  try {
    const pods = agents(kubectl, systemNamespace);
    return kubectl
      .list("nodes")
      .filter(({ metadata }) => (metadata.labels?.["kubernetes.io/os"] ?? "linux") === "linux")
      .map(({ metadata: { name } }) => ({ name, problem: nodeProblem(name, pods) }));
  } catch (cause) {
    if (!(cause instanceof KubectlError) || !isForbidden(cause)) throw cause;
    return null;
  }
}

function nodeProblem(name: string, pods: readonly KubeObject[]): string | null {
  const agent = pods.find(({ spec }) => spec?.nodeName === name);
  if (agent === undefined) return "there is no agent";
  const ready = agent.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
  return ready ? null : `${agent.metadata.name} is not ready (${agent.status?.phase ?? "unknown"})`;
}

/** Sentences of our own, to the width of the terminal. The table above them is kubectl's. */
function folded(lines: readonly string[], width: number): string[] {
  return lines.flatMap((line) => fold(line, width, 4));
}

/** What `status` says of all profiles, below kubectl's table. */
export function reportText(
  profiles: readonly ProfileState[],
  nodes: StatusReport["nodes"],
  operator: StatusReport["operator"],
  width: number,
): string {
  return folded(reportLines(profiles, nodes, operator), width).join("\n");
}

function reportLines(
  profiles: readonly ProfileState[],
  nodes: StatusReport["nodes"],
  operator: StatusReport["operator"],
): string[] {
  const listed = (lines: string[]) => lines.map((line) => `  ${line}`);
  const wrong = (unknown: boolean) =>
    profiles.flatMap(({ namespace, name, problem, isUnknown }) =>
      problem === null || isUnknown !== unknown ? [] : `${namespace}/${name}: ${problem}`,
    );
  const [amiss, unknown] = [wrong(false), wrong(true)];
  const cutOff = nodes?.flatMap(({ name, problem }) => (problem === null ? [] : `${name}: ${problem}`));
  return [
    ...(amiss.length === 0 ? [] : ["not in force as asked:", ...listed(amiss)]),
    ...(unknown.length === 0 ? [] : ["not known to be in force:", ...listed(unknown)]),
    ...(cutOff === undefined
      ? ["nodes are not shown: you may not list nodes, or Portcullis' pods"]
      : cutOff.length === 0
        ? ["every node has an agent that is connected"]
        : ["nodes that changes do not reach:", ...listed(cutOff)]),
    ...operatorLines(operator),
  ];
}

function operatorLines(operator: OperatorState | null): string[] {
  if (operator === null) return ["whether an operator is running is not shown: you may not list its Lease"];
  return operator.problem === null ? [] : [operator.problem];
}
