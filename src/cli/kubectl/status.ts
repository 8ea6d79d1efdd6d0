/** `kubectl portcullis status`: are the profiles in force, and is an agent on every node. */

import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { printableLines } from "../../api/printable.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { agents, Kubectl, KubectlError, type KubeObject } from "./kubectl.ts";
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
}

interface ProfileState {
  namespace: string;
  name: string;
  /** Null: it is in force on all that it selects. */
  problem: string | null;
  /** As the operator has written it. */
  status: object;
}

const NOTE = `
Nodes and agents are left out where one may not see them.

${exitStatusHelp({
  0: "all is well",
  1: "a profile is not in force, a node has no working agent, or the cluster cannot be asked",
})}`;

export function statusCommand(): Command {
  return addSystemAccess(addClusterAccess(new Command("status")))
    .summary("are the profiles in force, and is an agent on every node")
    .description(
      "Shows SecurityProfiles with what became of them, or all about one, and nodes without a working agent.",
    )
    .argument("[profile]", "all about one profile")
    .option("-A, --all-namespaces", "profiles of all namespaces", false)
    .addOption(new Option("-o, --output <format>", "format of the report").choices(["text", "json"]).default("text"))
    .addHelpText("after", NOTE)
    .action((profile: string | undefined, options: StatusOptions) => {
      const kubectl = new Kubectl(options);
      if (profile === undefined) showAll(kubectl, options);
      else showOne(kubectl, profile, options);
    });
}

function showOne(kubectl: Kubectl, name: string, options: StatusOptions): void {
  if (options.allNamespaces) throw new UsageError("one profile is of one namespace: leave --all-namespaces out");
  const profile = kubectl.object("securityprofile", name, ...namespaceArguments(options));
  const state = stateOf(profile);
  if (options.output === "json") printJson(state);
  else
    process.stdout.write(
      printableLines(kubectl.text("describe", "securityprofile", name, ...namespaceArguments(options))),
    );
  if (state.problem !== null) process.exitCode = 1;
}

function showAll(kubectl: Kubectl, options: StatusOptions): void {
  const scope = options.allNamespaces ? ["--all-namespaces"] : namespaceArguments(options);
  const profiles = kubectl.list("securityprofiles", ...scope).map(stateOf);
  const nodes = nodeStates(kubectl, options.systemNamespace);
  const isAmiss = [...profiles, ...(nodes ?? [])].some(({ problem }) => problem !== null);
  if (options.output === "json") printJson({ ok: !isAmiss, profiles, nodes } satisfies StatusReport);
  else {
    const table = profiles.length === 0 ? "" : kubectl.text("get", "securityprofiles", ...scope, "--output=wide");
    process.stdout.write(
      printableLines(`${table === "" ? "no SecurityProfiles\n" : table}\n${textOf(profiles, nodes)}\n`),
    );
  }
  if (isAmiss) process.exitCode = 1;
}

function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
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
  return { namespace, name, problem, status };
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
    if (!(cause instanceof KubectlError) || !/\(Forbidden\)/.test(cause.message)) throw cause;
    return null;
  }
}

function nodeProblem(name: string, pods: readonly KubeObject[]): string | null {
  const agent = pods.find(({ spec }) => spec?.nodeName === name);
  if (agent === undefined) return "there is no agent";
  const ready = agent.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
  return ready ? null : `${agent.metadata.name} is not ready (${agent.status?.phase ?? "unknown"})`;
}

function textOf(profiles: readonly ProfileState[], nodes: StatusReport["nodes"]): string {
  const listed = (lines: string[]) => lines.map((line) => `  ${line}`);
  const amiss = profiles.flatMap(({ namespace, name, problem }) =>
    problem === null ? [] : `${namespace}/${name}: ${problem}`,
  );
  const cutOff = nodes?.flatMap(({ name, problem }) => (problem === null ? [] : `${name}: ${problem}`));
  return [
    ...(amiss.length === 0 ? [] : ["not in force as asked:", ...listed(amiss)]),
    ...(cutOff === undefined
      ? ["nodes are not shown: you may not list nodes, or Portcullis' pods"]
      : cutOff.length === 0
        ? ["every node has an agent that is connected"]
        : ["nodes that changes do not reach:", ...listed(cutOff)]),
  ].join("\n");
}
