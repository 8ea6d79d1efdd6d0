/** What the operator would send to the nodes, for a dry run, which sends nothing. */

import { type Binding, PolicyKind } from "../../gen/agent_pb.js";
import { describeDiff, diffTables } from "../../policy/explain/diff.ts";
import { parseRuleset, parseSkeleton } from "../../policy/serialize/serialize-parts.ts";
import { compareText } from "../../policy/table/names.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import { stateMessages } from "../../protocol/state-message.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import type { Plan } from "./plan.ts";
import type { StoredTable } from "./table-store.ts";

export interface DryRunPod {
  pod: string;
  /** In words: a table, or why there is none. */
  policy: string;
  /** Empty without a table. */
  table: string;
}

export interface DryRunNode {
  node: string;
  pods: DryRunPod[];
  tables: number;
  rulesets: number;
  /** Bytes of a full state, about. */
  bytes: number;
}

export interface DryRunProfile {
  profile: string;
  valid: boolean;
  pods: number;
  /** Errors, or warnings of a valid one. */
  findings: string[];
  /** Why it cannot be compiled with others, if so. */
  problem: string;
}

export interface DryRunTable {
  table: string;
  profiles: string[];
  pods: number;
  /** What it allows, in words. */
  allows: string[];
}

export interface DryRun {
  profiles: DryRunProfile[];
  tables: DryRunTable[];
  nodes: DryRunNode[];
}

/** Reads a plan that has settled. */
export function dryRun(plan: Plan): DryRun {
  const profiles = [...plan.profiles.all()].map((profile) => profileOf(plan, profile));
  return {
    profiles: profiles.sort((left, right) => compareText(left.profile, right.profile)),
    tables: tablesOf(plan),
    nodes: [...plan.nodes.nodes()].sort(compareText).map((node) => nodeOf(plan, node)),
  };
}

/** For people. */
export function dryRunText({ profiles, tables, nodes }: DryRun): string {
  return `${[
    count(profiles.length, "profile"),
    ...profiles.flatMap(profileLines),
    "",
    count(tables.length, "table"),
    ...tables.flatMap((table) => [
      `  ${shortHash(table.table)} of ${table.profiles.join(", ")}, for ${count(table.pods, "pod")}`,
      ...table.allows.map((line) => `    ${line}`),
    ]),
    "",
    count(nodes.length, "node"),
    ...nodes.flatMap((node) => [
      `  ${node.node}: ${count(node.pods.length, "pod")}, ${count(node.tables, "table")}, ${count(node.rulesets, "rule set")}, about ${node.bytes} bytes`,
      ...node.pods.map(
        ({ pod, policy, table }) => `    ${pod}: ${policy}${table === "" ? "" : ` ${shortHash(table)}`}`,
      ),
    ]),
  ].join("\n")}\n`;
}

function profileLines({ profile, valid, pods, findings, problem }: DryRunProfile): string[] {
  return [
    `  ${profile}: ${valid ? "valid" : "NOT VALID"}, selects ${count(pods, "pod")}`,
    ...(problem === "" ? [] : [`    cannot be compiled: ${problem}`]),
    ...findings.map((text) => `    ${valid ? "warning" : "error"}: ${text}`),
  ];
}

function profileOf(plan: Plan, { key, errors, warnings, overBudget }: StoredProfile): DryRunProfile {
  const valid = errors.count === 0;
  const failed = [...plan.policies.ofProfile(key)].find(({ error }) => error !== null);
  return {
    profile: key,
    valid,
    pods: plan.planner.plansOf(key).length,
    findings: [...(overBudget === null ? [] : [overBudget]), ...(valid ? warnings : errors).texts],
    problem: failed?.error ?? "",
  };
}

function tablesOf(plan: Plan): DryRunTable[] {
  const tables = new Map<string, { table: StoredTable; pods: number }>();
  for (const { table, pods } of plan.policies.all()) {
    if (table === null) continue;
    const known = tables.get(table.hash) ?? { table, pods: 0 };
    tables.set(table.hash, { table, pods: known.pods + pods.size });
  }
  return [...tables.values()]
    .map(({ table, pods }) => ({
      table: table.hash,
      profiles: [...table.profiles],
      pods,
      allows: describeDiff(diffTables(null, tableOf(table))),
    }))
    .sort((left, right) => compareText(left.profiles.join(), right.profiles.join()));
}

function tableOf({ content, rulesets }: StoredTable): RuleTable {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
  return parseSkeleton(text(content), (hash) => {
    const ruleset = rulesets.get(hash);
    return ruleset && parseRuleset(text(ruleset.content), hash);
  });
}

function nodeOf(plan: Plan, node: string): DryRunNode {
  const bindings = plan.nodes.bindings(node);
  const { tables } = plan.tables;
  const used = new Set([...bindings.values()].map(({ tableHash }) => tableHash).filter((hash) => hash !== ""));
  const rulesets = new Set([...used].flatMap((hash) => [...(tables.get(hash)?.rulesets.keys() ?? [])]));
  const nothing = { bindings: null, tables: new Set<string>(), rulesets: new Set<string>(), enforcing: null };
  const messages = stateMessages(nothing, { bindings, tables, enforcing: null }, 1n);
  const contents = messages.flatMap((message) => [...message.rulesets, ...message.tables]);
  return {
    node,
    pods: [...bindings.values()].map(podOf).sort((left, right) => compareText(left.pod, right.pod)),
    tables: used.size,
    rulesets: rulesets.size,
    bytes: contents.reduce((sum, { content }) => sum + content.length, 0),
  };
}

const POLICY_WORDS: Readonly<Record<PolicyKind, string>> = {
  [PolicyKind.UNSPECIFIED]: "",
  [PolicyKind.TABLE]: "table",
  [PolicyKind.UNRESTRICTED]: "no profile selects it",
  [PolicyKind.KEEP]: "keeps what is in force, because its profiles are not valid or do not fit together",
  [PolicyKind.HOST_NETWORK]: "cannot be protected, because it uses the host's network",
};

function podOf({ namespace, name, policy, tableHash }: Binding): DryRunPod {
  return { pod: `${namespace}/${name}`, policy: POLICY_WORDS[policy], table: tableHash };
}

function shortHash(hash: string): string {
  return hash.slice(0, 12);
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
