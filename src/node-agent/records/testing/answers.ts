/** Asks a keeper, and gathers what it says. */
import { type AnswerEnd, checkQuery, type RecordQuery } from "../../../flow/query.ts";
import type { AgentEvent } from "../../../flow/record.ts";
import type { Keeper } from "../keeper.ts";

export interface Gathered {
  records: AgentEvent[];
  end: AnswerEnd;
}

export async function ask(keeper: Keeper, query: Partial<RecordQuery> = {}): Promise<Gathered> {
  const lines: string[] = [];
  const sink = {
    signal: new AbortController().signal,
    write: (more: readonly string[]) => {
      lines.push(...more);
      return Promise.resolve(true);
    },
  };
  await keeper.answer(checkQuery({ select: { allow: [], deny: [] }, follow: false, ...query }), sink);
  const end = JSON.parse(lines.pop() ?? "null") as AnswerEnd;
  return { records: lines.map((line) => JSON.parse(line) as AgentEvent), end };
}
