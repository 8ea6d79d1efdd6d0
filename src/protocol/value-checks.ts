/** The ranges of single values that several messages have. */
import { DIRECTIONS, VERDICTS } from "../api/reasons.ts";
import { oneOf, text, UINT32_MAX, UINT64_MAX, whole } from "./field-checks.ts";

/** The last millisecond of the year 9999: later ones are not written as times elsewhere. */
export const TIME_MAX = 253_402_300_799_999n;

/** Names of Kubernetes' objects, and hosts: RFC 1123. */
export const name = text(253, /^[A-Za-z0-9._-]*$/);
/** `namespace/name` of a profile; standalone profiles have no namespace of Kubernetes'. */
export const profile = text(512, /^[A-Za-z0-9._/-]*$/);
export const uid = text(128, /^[A-Za-z0-9._:-]*$/);
export const hash = text(128, /^[A-Za-z0-9_-]*$/);
/** Of an error, or empty. */
export const code = text(128, /^(?:[A-Z][A-Z0-9_]*)?$/);
/** PATH_MAX of Linux. */
export const path = text(4096);
export const words = text(16_384);
export const word = text(64, /^[A-Za-z0-9._-]*$/);
export const domain = text(1024);
export const version = text(128);
export const count = whole(0n, UINT64_MAX);
export const number = whole(0, UINT32_MAX);
export const direction = oneOf(["", ...DIRECTIONS]);
export const verdict = oneOf(VERDICTS);
