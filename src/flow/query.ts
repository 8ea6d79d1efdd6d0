/** What one can ask for about records, and how an answer ends: the same for an agent and whoever gathers from several. */
import { Ajv } from "ajv";
import { UsageError } from "../api/errors.ts";
import { CRITERION_NAMES, type RecordSelection, selectionFilter } from "./filters/filter.ts";

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

const values = { type: "array", items: { type: "string", maxLength: 4096 }, maxItems: 1000 };
const criteria = {
  type: "object",
  properties: Object.fromEntries(CRITERION_NAMES.map((name) => [name, values])),
  additionalProperties: false,
};
const moment = { type: "integer", minimum: 0, maximum: 8.64e15 };
const number = { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER };
const validate = new Ajv({ strict: true }).compile<RecordQuery>({
  type: "object",
  properties: {
    select: {
      type: "object",
      properties: { allow: criteria, deny: criteria },
      required: ["allow", "deny"],
      additionalProperties: false,
    },
    since: moment,
    until: moment,
    first: number,
    last: number,
    follow: { type: "boolean" },
  },
  required: ["select", "follow"],
  additionalProperties: false,
});

/** @throws UsageError, FilterError naming what is wrong */
export function checkQuery(value: unknown): RecordQuery {
  if (!validate(value)) {
    const [error] = validate.errors ?? [];
    const detail =
      error?.params.additionalProperty === undefined ? "" : ` (${String(error.params.additionalProperty)})`;
    throw new UsageError(
      `the question${error?.instancePath.replaceAll("/", ".") ?? ""} ${error?.message ?? "is none"}${detail}`,
    );
  }
  selectionFilter(value.select);
  return value;
}
