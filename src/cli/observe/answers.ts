/** Answers to a question about records: of a running agent, or out of a file. Both end with what is missing in them. */
import { selectionFilter } from "../../flow/filters/filter.ts";
import { type AnswerEnd, isComplete, type RecordQuery } from "../../flow/query.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { askRecords } from "../../node-agent/records/client.ts";
import { type RecordLine, readRecords } from "../input/records.ts";

/** Records, and behind the last one what is missing; null: the answer broke off, and nobody knows. */
export type Answer = AsyncGenerator<RecordLine, AnswerEnd | null>;

/** Where the agent answers. */
export const DEFAULT_SERVER = "/run/portcullis/observe.sock";

/** @param server path of the socket, or `unix:` and that @throws RecordsServerError */
export async function* answerOfAgent(server: string, query: RecordQuery, signal: AbortSignal): Answer {
  let lost = 0;
  for await (const line of askRecords(server.replace(/^unix:(?:\/\/)?/, ""), query, signal)) {
    const record = JSON.parse(line) as AgentEvent | AnswerEnd;
    if (record.type === "end") return record;
    if (record.type === "lost") lost += record.count;
    yield { record, line };
  }
  // Who follows ends the answer; any other one would have gone on.
  return signal.aborted && query.follow ? { type: "end", lost, damaged: 0 } : null;
}

/** @throws InputError */
export async function* answerOfFile(file: string, query: RecordQuery): Answer {
  const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY, first, last } = query;
  const takes = selectionFilter(query.select);
  const newest: RecordLine[] = [];
  let left = first ?? Number.POSITIVE_INFINITY;
  let lost = 0;
  for await (const one of readRecords(file)) {
    const time = Date.parse(one.record.time);
    if (time < since || time > until) continue;
    if (one.record.type === "lost") lost += one.record.count;
    if (!takes(one.record)) continue;
    if (last !== undefined) {
      newest.push(one);
      if (newest.length > last) newest.shift();
      continue;
    }
    yield one;
    left -= 1;
    if (left === 0) break;
  }
  yield* newest;
  return { type: "end", lost, damaged: 0 };
}

/** What is missing in the answer, in words. */
export function missingIn(end: AnswerEnd | null): string[] {
  if (end === null) return ["incomplete: the answer broke off: it was interrupted, or the agent has ended"];
  if (isComplete(end)) return [];
  const { lost, damaged, forgottenBefore, problem } = end;
  return [
    ...(lost > 0 ? [`incomplete: ${lost} events of this time were lost before they could be kept`] : []),
    ...(damaged > 0
      ? [`incomplete: ${damaged} segments of this time are damaged, or gone; the agent's log names them`]
      : []),
    ...(forgottenBefore === undefined
      ? []
      : [`incomplete: what is older than ${forgottenBefore} is not kept any more`]),
    ...(problem === undefined ? [] : [`incomplete: ${problem}`]),
  ];
}
