/** What the profiles say to a case of a policy test, and whether that is what was expected. */
import type { Reason, Verdict } from "../../api/reasons.ts";
import { effectOf, type SecurityProfile } from "../../api/types.ts";
import { type Explanation, explain } from "../../policy/explain/explain.ts";
import { explainListen } from "../../policy/explain/listen.ts";
import type { BlockOrigin } from "../../policy/table/tables.ts";
import type { Expectation, TestCase } from "./format.ts";
import type { Asked } from "./questions.ts";

/** What becomes of it. */
export interface Outcome {
  verdict: Expectation;
  /** `Allowed` where it is. */
  reason: Reason;
  /** Who allows it: profiles with the field of the block, in words. */
  rules: string[];
  /** The entry that judges, in words. */
  because: string;
  /** It was the DNS question that was not allowed. */
  question: string | null;
}

export interface CaseResult {
  test: TestCase;
  passed: boolean;
  outcome: Outcome;
}

const OUTCOMES = {
  allowed: "allow",
  alerted: "alert",
  dropped: "deny",
  counted: "count",
} as const satisfies Record<Verdict, Expectation>;

/** What is worse comes first. */
const SEVERITY: readonly Expectation[] = ["deny", "alert", "count", "unjudged"];

/** Asks all that the case asks, in order. The first of the worst answers is the case's; if all are allowed, the last. @throws CompileError */
export function judgeCase(profiles: SecurityProfile[], test: TestCase, asked: Asked): CaseResult {
  const outcomes = outcomesOf(profiles, asked);
  const worst = SEVERITY.flatMap((verdict) => outcomes.find((outcome) => outcome.verdict === verdict) ?? []);
  const outcome = (worst[0] ?? outcomes.at(-1)) as Outcome;
  return { test, passed: meets(test, outcome), outcome };
}

function outcomesOf(profiles: SecurityProfile[], { questions, listening, options }: Asked): Outcome[] {
  if (listening === null) {
    return questions.map((question) => ({
      ...outcomeOf(explain(profiles, question, options)),
      question: question.traffic.question,
    }));
  }
  const { judged, verdict, reason, allowedBy } = explainListen(profiles, listening, options);
  const because = judged ? `ingress of ${listening.process.path}` : "no profile selects the pod, or those only learn";
  return [
    {
      verdict: judged ? OUTCOMES[verdict] : "unjudged",
      reason,
      rules: allowedBy.map(ruleText),
      because,
      question: null,
    },
  ];
}

function outcomeOf({ judgedBy, actions, verdict, reason, allowedBy, because }: Explanation) {
  const learns = judgedBy !== "unrestricted" && effectOf(actions) === "learning";
  const isJudged = judgedBy !== "unrestricted" && !learns;
  const outcome = isJudged ? OUTCOMES[verdict] : ("unjudged" as const);
  return {
    verdict: outcome,
    reason,
    rules: allowedBy.map(ruleText),
    because: learns ? `${actionsText(actions)}: nothing is judged` : `${because}${leniency(outcome, actions)}`,
  };
}

/** Why a violation passes. */
function leniency(outcome: Outcome["verdict"], actions: readonly string[]): string {
  return outcome === "alert" || outcome === "count" ? `; ${actionsText(actions)}: nothing is dropped` : "";
}

function actionsText(actions: readonly string[]): string {
  return actions.length === 0 ? "the profiles have no actions" : `the profiles' actions are ${actions.join(", ")}`;
}

function ruleText({ profile, field }: BlockOrigin): string {
  return `${profile} ${field}`;
}

function meets({ expect, reason, rule }: TestCase, outcome: Outcome): boolean {
  if (outcome.verdict !== expect) return false;
  if (reason !== undefined && outcome.reason !== reason) return false;
  return (
    rule === undefined ||
    outcome.rules.some((text) => text === rule || text.startsWith(`${rule} `) || text.startsWith(`${rule}.`))
  );
}
