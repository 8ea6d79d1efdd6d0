/** Reads and checks the request that an observer has posted. */
import { DIRECTIONS, VERDICTS } from "../../api/reasons.ts";
import { OBSERVE_RATE_MAX, type ObserveRequest } from "../../protocol/observe.ts";
import { ObserveRefusal } from "./refusal.ts";

type Check = (value: unknown) => boolean;

const TEXT_MAX = 4096;

const isText: Check = (value) => typeof value === "string" && value !== "" && value.length <= TEXT_MAX;
const FIELDS: Readonly<Record<keyof ObserveRequest, { required: boolean; check: Check; words: string }>> = {
  token: { required: true, check: (value) => typeof value === "string" && value !== "", words: "a token" },
  namespace: { required: true, check: isText, words: "a name" },
  pod: { required: true, check: isText, words: "a name" },
  verdicts: {
    required: true,
    check: (value) => Array.isArray(value) && value.length > 0 && value.every((item) => isOneOf(VERDICTS, item)),
    words: `a list of ${VERDICTS.join(", ")}`,
  },
  direction: { required: false, check: (value) => isOneOf(DIRECTIONS, value), words: DIRECTIONS.join(" or ") },
  process: { required: false, check: isText, words: "a path" },
  container: { required: false, check: isText, words: "a name" },
  rate: {
    required: true,
    check: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= OBSERVE_RATE_MAX,
    words: `a whole number from 1 to ${OBSERVE_RATE_MAX}`,
  },
};

/** @throws ObserveRefusal; also for fields that are not known, which a newer plugin may send */
export function parseObserveRequest(text: string): ObserveRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ObserveRefusal("BadRequest", "the request is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null) throw new ObserveRefusal("BadRequest", "the request is no object");
  const given = value as Record<string, unknown>;
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(FIELDS, name));
  if (unknown.length > 0) {
    throw new ObserveRefusal(
      "BadRequest",
      `this operator does not know ${unknown.join(", ")}; it may be older than the plugin`,
    );
  }
  for (const [name, { required, check, words }] of Object.entries(FIELDS)) {
    const isAbsent = given[name] === undefined;
    if (isAbsent ? required : !check(given[name])) throw new ObserveRefusal("BadRequest", `${name} has to be ${words}`);
  }
  return given as unknown as ObserveRequest;
}

function isOneOf(list: readonly string[], value: unknown): boolean {
  return typeof value === "string" && list.includes(value);
}
