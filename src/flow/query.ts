/** What one can ask for about records, and how an answer ends: the same for an agent and whoever gathers from several. */
import { UsageError } from "../api/errors.ts";
import { CRITERION_NAMES, type FilterCriteria, type RecordSelection, selectionFilter } from "./filters/filter.ts";

export interface RecordQuery {
  select: RecordSelection;
  /** Milliseconds since 1970, both inclusive; absent: from the oldest, to the newest. */
  since?: number;
  until?: number;
  /** The first, or the last, so many of them; absent: all. */
  first?: number;
  last?: number;
  /** Goes on with what comes, until whoever asks ends it. */
  follow: boolean;
}

/** The last line of an answer. It is complete where nothing is missing. */
export interface AnswerEnd {
  type: "end";
  /** Events of the time that was asked for that were lost before they could be kept. */
  lost: number;
  /** Segments of that time that can be read in part only. */
  damaged: number;
  /** RFC 3339: what is older is not kept any more, and was asked for. */
  forgottenBefore?: string;
  /** Why nothing is kept now. */
  problem?: string;
}

export function isComplete({ lost, damaged, forgottenBefore, problem }: AnswerEnd): boolean {
  return lost === 0 && damaged === 0 && forgottenBefore === undefined && problem === undefined;
}

const LIST_MAX = 100;
const VALUES_MAX = 1000;
const VALUE_LENGTH_MAX = 4096;
/** Milliseconds since 1970 that a Date can have (ECMA-262, time values). */
const MOMENT_MAX = 8.64e15;

/**
 * By hand: whoever answers keeps nothing in memory for it that is larger than the question.
 * @throws UsageError, FilterError naming what is wrong
 */
export function checkQuery(value: unknown): RecordQuery {
  const query = objectWith(["select", "since", "until", "first", "last", "follow"], "the question", value);
  const { allow, deny } = objectWith(["allow", "deny"], "the question.select", query.select);
  const follow = query.follow;
  if (typeof follow !== "boolean") throw wrong("the question.follow", "has to be true or false");
  const checked = {
    select: {
      allow: criteriaList(allow, "the question.select.allow"),
      deny: criteriaList(deny, "the question.select.deny"),
    },
    ...numberOf(query, "since", 0, MOMENT_MAX),
    ...numberOf(query, "until", 0, MOMENT_MAX),
    ...numberOf(query, "first", 1, Number.MAX_SAFE_INTEGER),
    ...numberOf(query, "last", 1, Number.MAX_SAFE_INTEGER),
    follow,
  };
  selectionFilter(checked.select);
  return checked;
}

/** A list of criteria, as selections have it, whose values are still to be looked at. @throws UsageError naming the place */
export function criteriaList(value: unknown, where: string): FilterCriteria[] {
  if (!Array.isArray(value) || value.length > LIST_MAX) throw wrong(where, `has to be a list of ${LIST_MAX} at most`);
  return value.map((one, index) => criteria(one, `${where}.${index}`));
}

function criteria(value: unknown, where: string): FilterCriteria {
  const given = objectWith(CRITERION_NAMES, where, value);
  for (const [name, values] of Object.entries(given)) {
    const isRight =
      Array.isArray(values) &&
      values.length <= VALUES_MAX &&
      values.every((one) => typeof one === "string" && one.length <= VALUE_LENGTH_MAX);
    if (!isRight) {
      throw wrong(
        `${where}.${name}`,
        `has to be a list of ${VALUES_MAX} texts at most, each of ${VALUE_LENGTH_MAX} characters at most`,
      );
    }
  }
  return given as FilterCriteria;
}

function numberOf(query: Record<string, unknown>, name: string, min: number, max: number): Record<string, number> {
  const value = query[name];
  if (value === undefined) return {};
  if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
    throw wrong(`the question.${name}`, `has to be a whole number from ${min} to ${max}`);
  }
  return { [name]: Number(value) };
}

/** An object that has none but these fields. */
function objectWith(fields: readonly string[], where: string, value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(where, "has to be an object");
  const stranger = Object.keys(value).find((name) => !fields.includes(name));
  if (stranger !== undefined)
    throw wrong(where, `cannot have ${JSON.stringify(stranger)}: there are ${fields.join(", ")}`);
  return value as Record<string, unknown>;
}

function wrong(where: string, problem: string): UsageError {
  return new UsageError(`${where} ${problem}`);
}
