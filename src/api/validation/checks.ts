/**
 * Checks of single values. Each belongs to fields of the schema (`x-portcullis-check`), where it stands in for the
 * pattern that the API server checks, with better words. A check refuses at least what the pattern refuses.
 */
import { parseCidr } from "../cidr.ts";
import { type Finding, type Mend, mended } from "../fields.ts";
import { checkDnsLabel, checkLabelKey, checkLabelValue } from "../labels.ts";
import { checkName } from "../names.ts";
import { PATH_RULE } from "../rules.ts";
import { L4_PROTOCOL_NAMES } from "../types.ts";
import { nearest, onlyNearest } from "./nearest.ts";

export const CHECKS = {
  path: checkPath,
  container: checkContainer,
  name: checkName,
  cidr4: (text: string) => findingOf(parseCidr(text, 4)),
  cidr6: (text: string) => findingOf(parseCidr(text, 6)),
  l4Protocol: checkL4Protocol,
  labelKey: checkLabelKey,
  labelValue: checkLabelValue,
  serviceName: (name: string) => checkDnsLabel(name, "service"),
  namespaceName: (name: string) => checkDnsLabel(name, "namespace"),
} as const satisfies Record<string, (value: never) => Finding | null>;

export type CheckName = keyof typeof CHECKS;

/** Bytes of a path: what fits the kernel's key with its terminating NUL (PATH_TEXT_MAX in bpf/include/abi/processes.h). */
export const MAX_PATH_LENGTH = 255;

/** Absolute, and as the kernel writes it: one slash between components, none at the end, no `.` and `..`. */
function isClean(path: string): boolean {
  const components = path.slice(1).split("/");
  return !path.includes("\0") && components.every((component) => !UNCLEAN_COMPONENTS.has(component));
}
const UNCLEAN_COMPONENTS: ReadonlySet<string> = new Set(["", ".", ".."]);

function checkPath(path: string): Finding | null {
  const { code } = PATH_RULE;
  const shown = JSON.stringify(path);
  if (Buffer.byteLength(path) > MAX_PATH_LENGTH) {
    return {
      code,
      message: `the path is longer than ${MAX_PATH_LENGTH} bytes, which the kernel's tables cannot hold`,
      remedy: "move the executable to a shorter path",
    };
  }
  if (!path.startsWith("/")) {
    return { code, message: `${shown} is not absolute`, remedy: "write the whole path inside the container, from /" };
  }
  if (isClean(path)) return null;
  const clean = cleanPath(path);
  const remedy = clean === "/" ? "name an executable file" : `write ${JSON.stringify(clean)}`;
  // `..` may lead elsewhere than it seems to, where a folder is a link.
  const isOne = clean !== "/" && !path.endsWith("/") && !path.split("/").includes("..") && !path.includes("\0");
  const message = `${shown} is not a clean path to a file (//, /./, /../ or a slash at the end)`;
  return { code, message, remedy, ...mended(isOne ? { write: clean } : null) };
}

/** The path without empty components, `.` and `..`, for the remedy only: a symlink might make it another file. */
function cleanPath(path: string): string {
  const components: string[] = [];
  for (const component of path.replaceAll("\0", "").split("/")) {
    if (component === "..") components.pop();
    else if (component !== "" && component !== ".") components.push(component);
  }
  return `/${components.join("/")}`;
}

/** "" is what some templates make of "in every container". */
function checkContainer(name: string): Finding | null {
  return name === "" ? null : checkDnsLabel(name, "container");
}

/** Numbers of protocols that people know by name, and the list does not (IANA, Assigned Internet Protocol Numbers). */
const OTHER_PROTOCOLS: Readonly<Record<string, number>> = {
  ipip: 4,
  dccp: 33,
  rsvp: 46,
  gre: 47,
  esp: 50,
  ah: 51,
  ospf: 89,
  pim: 103,
  vrrp: 112,
  udplite: 136,
};

const L4_LIST = `${L4_PROTOCOL_NAMES.join(", ")} or a number from 0 to 255`;
const DIGITS = /^[0-9]+$/;

function checkL4Protocol(protocol: string | number): Finding | null {
  const code = "PC_VALUE_UNKNOWN";
  if (typeof protocol === "number") {
    const good = Number.isInteger(protocol) && protocol >= 0 && protocol <= 255;
    return good ? null : { code, message: `${protocol} is not an IP protocol number`, remedy: `write ${L4_LIST}` };
  }
  if (L4_PROTOCOL_NAMES.some((name) => name === protocol)) return null;
  const message = `"${protocol}" is not one of ${L4_LIST}`;
  if (DIGITS.test(protocol))
    return { code, message, remedy: "write the number without quotes", ...mended(numberMend(protocol)) };
  const number = OTHER_PROTOCOLS[protocol.toLowerCase()];
  if (number !== undefined) return { code, message, remedy: `write its number, ${number}`, mend: { write: number } };
  const close = nearest(protocol, L4_PROTOCOL_NAMES);
  const meant = onlyNearest(protocol, L4_PROTOCOL_NAMES);
  const remedy = close ? `write "${close}"` : "write one of them";
  return { code, message, remedy, ...mended(meant === null ? null : { write: meant }) };
}

function numberMend(digits: string): Mend | null {
  const number = Number(digits);
  return number <= 255 ? { write: number } : null;
}

function findingOf(result: object): Finding | null {
  return "code" in result ? (result as Finding) : null;
}
