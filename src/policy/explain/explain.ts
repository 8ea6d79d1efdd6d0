/**
 * "Would this process of a workload with these labels reach that, and which rule says so?" The answer is the reference
 * evaluator's; the reports per block say how it comes about.
 */

import type { Reason, Verdict } from "../../api/reasons.ts";
import { type Action, effectOf, type SecurityProfile } from "../../api/types.ts";
import { nearestPath } from "../../api/validation/nearest.ts";
import { blocksOf, type CompileOptions, compileTable, profileName } from "../compile/compile.ts";
import type { Application } from "../reference/applications.ts";
import { verdictOf } from "../reference/evaluate.ts";
import { judgeApplication, judgeLayers, judgeQuestion, reportedReason, rightsOf } from "../reference/rights.ts";
import { createState, learn, learnerKey, type Rights } from "../reference/state.ts";
import { familyOf } from "../table/addresses.ts";
import type { Block } from "../table/blocks.ts";
import { findBinary, originsOf } from "../table/lookup.ts";
import { compareText } from "../table/names.ts";
import { type SelectableWorkload, selects } from "../table/selection.ts";
import type { Subject } from "../table/subject.ts";
import type { BlockOrigin, RuleTable } from "../table/tables.ts";
import { explainLayers, hasApplication, type LayerReport, type Traffic } from "./explain-layers.ts";

export interface Question {
  workload: SelectableWorkload;
  /** Null: traffic of no process. */
  process: Subject | null;
  traffic: Traffic;
}

export interface ProfileReport {
  profile: string;
  selected: boolean;
  reason: string;
}

export interface BlockReport extends BlockOrigin {
  /** Whether the block allows it, alone. */
  allows: boolean;
  layers: LayerReport[];
}

export interface Explanation {
  profiles: ProfileReport[];
  /** The entry that judges: a listed process, `default`, neither (`nobody`), or none at all because no profile selects. */
  judgedBy: "process" | "default" | "nobody" | "unrestricted";
  /** Why, in words. */
  because: string;
  blocks: BlockReport[];
  allowed: boolean;
  reason: Reason;
  /** If it is allowed only as long as the flow speaks one of these. */
  provided: Application[];
  /** The blocks behind an allowed verdict. */
  allowedBy: BlockOrigin[];
  /** What comes of it under the profiles' own actions, and what would under each. */
  actions: Action[];
  verdict: Verdict;
  verdicts: { enforce: Verdict; alert: Verdict; none: Verdict };
}

/** @throws CompileError if the profiles that select the workload cannot be united. */
export function explain(profiles: SecurityProfile[], question: Question, options: CompileOptions): Explanation {
  const reports = profiles.map((profile) => ({
    profile: profileName(profile),
    ...selects(profile, question.workload),
  }));
  reports.sort((left, right) => compareText(left.profile, right.profile));
  const selected = profiles.filter((profile) => selects(profile, question.workload).selected);
  if (selected.length === 0) return unrestricted(reports);
  const table = compileTable(selected, options);
  const { process, traffic } = question;
  const rights = rightsOf(table, process, traffic.direction);
  const reason = judgeTraffic(table, rights, traffic);
  const binary = rights.binaryId === 0 ? null : (table.binaries[rights.binaryId - 1] ?? null);
  const blocks = blocksOf(selected, binary, traffic.direction, options);
  // `default` asks for nothing but the traffic.
  const circumstances = { process: binary === null ? null : process, searchDomains: options.searchDomains };
  return {
    profiles: reports,
    judgedBy: binary ? "process" : table.default ? "default" : "nobody",
    because: explainJudge(table, rights, listedLinks(selected, binary, options)),
    blocks: blocks.map((block) => reportOf(block, traffic, circumstances)),
    allowed: reason === "Allowed",
    reason,
    provided: reason === "Allowed" ? applicationsNeeded(rights, traffic) : [],
    allowedBy: reason === "Allowed" ? originsOf(rights.ruleset, rights.mask) : [],
    actions: table.actions,
    ...verdictsOf(reason, table.actions),
  };
}

/** What the evaluator says to the flow's first packets; narrows `rights.mask` to the blocks that allow them. */
function judgeTraffic(table: RuleTable, rights: Rights, traffic: Traffic): Reason {
  const reason = judgeNetwork(rights, traffic);
  if (reason !== "Allowed") return reportedReason(table, rights, reason);
  if (rights.mask === 0n) return reportedReason(table, rights, "Peer");
  if (traffic.question !== null) return reportedReason(table, rights, narrowToQuestion(rights, traffic.question));
  if (traffic.application === "unknown" || !hasApplication(traffic)) return "Allowed";
  const application = traffic.application === "none" ? null : traffic.application;
  return reportedReason(table, rights, judgeApplication(rights, application));
}

/** Layers 1 to 3; nothing is learned but what the question says. */
function judgeNetwork(rights: Rights, { peer, resolved, direction }: Traffic): Reason {
  if (peer === null) return "Allowed";
  const state = createState({ addresses: [], macs: [] });
  if (resolved !== null) learn(state, learnerKey(rights), peer.remote, { name: resolved, expires: 1 });
  return judgeLayers(state, rights, { ...peer, family: familyOf(peer.remote) }, 0, direction);
}

function narrowToQuestion(rights: Rights, name: string): Reason {
  const reason = judgeQuestion(rights, name);
  if (reason !== "Allowed") return reason;
  // Of the blocks that allow the flow, those under which the name may be asked.
  const bits = rights.ruleset.blocks.map((_, bit) => (1n << BigInt(bit)) & rights.mask).filter((bit) => bit !== 0n);
  const asking = bits.filter((bit) => judgeQuestion({ ...rights, mask: bit }, name) === "Allowed");
  rights.mask = asking.reduce((mask, bit) => mask | bit, 0n);
  return "Allowed";
}

function applicationsNeeded(rights: Rights, traffic: Traffic): Application[] {
  const { anyApplication, application } = rights.ruleset;
  if (traffic.application !== "unknown" || traffic.question !== null || !hasApplication(traffic)) return [];
  if ((rights.mask & anyApplication) !== 0n) return [];
  return (["dns", "http", "tls"] as const).filter((name) => (rights.mask & application[name]) !== 0n);
}

/** Listed paths that a binary of the table is judged by, because they are links to it. */
function listedLinks(
  profiles: SecurityProfile[],
  binary: { path: string } | null,
  { files = () => [] }: CompileOptions,
): string[] {
  if (binary === null) return [];
  const listed = new Set(profiles.flatMap(({ spec }) => (spec.processes ?? []).map(({ path }) => path)));
  return [...listed].filter((path) => path !== binary.path && files(path).includes(binary.path));
}

const UNMET_WORDS = { Ancestry: "below what led to it", User: "for its user" } as const;

function explainJudge(table: RuleTable, rights: Rights, links: readonly string[]): string {
  const { subject } = rights;
  if (rights.binaryId !== 0) {
    const found = table.binaries[rights.binaryId - 1];
    const where = found?.container ? ` in container ${found.container}` : "";
    const how = links.length > 0 ? ` as ${links.join(" and ")}, a link to it` : "";
    return `${found?.path}${where} is listed${how}`;
  }
  const fallback = table.default
    ? "it is judged by default"
    : "no profile has a default, so only neighbour discovery and group reports pass";
  if (subject === null) return `it belongs to no process: ${fallback}`;
  const path = subject.path ?? "the executable (its path is not known)";
  const listed = subject.path !== null && findBinary(table, subject.path, subject) !== null;
  if (rights.unmet !== null) return `${path} is listed, but not ${UNMET_WORDS[rights.unmet]}: ${fallback}`;
  if (listed) return `${path} is listed, but the file was changed and no entry has binary: Any: ${fallback}`;
  const meant =
    subject.path === null
      ? null
      : nearestPath(
          subject.path,
          table.binaries.map((binary) => binary.path),
        );
  const hint = meant === null ? "" : ` (did you mean ${meant}, which is listed?)`;
  return `no profile lists ${path}${hint}: ${fallback}`;
}

function reportOf(block: Block, traffic: Traffic, circumstances: Parameters<typeof explainLayers>[2]): BlockReport {
  const layers = explainLayers(block, traffic, circumstances);
  return { ...block.origin, allows: layers.every((layer) => layer.passed), layers };
}

function verdictsOf(reason: Reason, actions: Action[]): Pick<Explanation, "verdict" | "verdicts"> {
  return {
    verdict: effectOf(actions) === "learning" ? "allowed" : verdictOf(reason, actions),
    verdicts: {
      enforce: verdictOf(reason, ["enforce"]),
      alert: verdictOf(reason, ["alert"]),
      none: verdictOf(reason, []),
    },
  };
}

function unrestricted(profiles: ProfileReport[]): Explanation {
  return {
    profiles,
    judgedBy: "unrestricted",
    because: "no profile selects the workload",
    blocks: [],
    allowed: true,
    reason: "Allowed",
    provided: [],
    allowedBy: [],
    actions: [],
    ...verdictsOf("Allowed", []),
  };
}
