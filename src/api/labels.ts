/** Labels: by which of its own a profile selects pods, and what a label may look like. */
import type { Finding } from "./fields.ts";

/** Keys that tools put on every object that they manage; they say nothing about which pods are meant. */
const BOOKKEEPING_KEYS: ReadonlySet<string> = new Set(["app.kubernetes.io/managed-by"]);
const BOOKKEEPING_PREFIXES: readonly string[] = ["helm.sh/", "kustomize.toolkit.fluxcd.io/", "argocd.argoproj.io/"];

export function isBookkeepingLabel(key: string): boolean {
  return BOOKKEEPING_KEYS.has(key) || BOOKKEEPING_PREFIXES.some((prefix) => key.startsWith(prefix));
}

/** The labels of a profile without a `labelSelector` that select its pods. Empty: it selects nothing. */
export function selectingLabels(labels: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !isBookkeepingLabel(key)));
}

/** As in Kubernetes: 63 characters, letters and digits at both ends, `-`, `_`, `.` between; values may be empty. */
const LABEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
export const LABEL_VALUE_PATTERN = "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$";
const LABEL_VALUE = new RegExp(LABEL_VALUE_PATTERN);
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_SUBDOMAIN_LENGTH = 253;
const MAX_LABEL_VALUE_LENGTH = 63;

/** A label's key: a name, or `prefix/name` where the prefix is a DNS subdomain. */
export function checkLabelKey(key: string): Finding | null {
  const slash = key.indexOf("/");
  const prefix = slash < 0 ? null : key.slice(0, slash);
  const good = (prefix === null || isSubdomain(prefix)) && LABEL_NAME.test(key.slice(slash + 1));
  if (good) return null;
  return {
    code: "PC_LABEL_INVALID",
    message: `${JSON.stringify(key)} is not a label key`,
    remedy: "write a name of at most 63 letters, digits, '-', '_' or '.', or example.com/name",
  };
}

export function checkLabelValue(value: string): Finding | null {
  if (LABEL_VALUE.test(value)) return null;
  return {
    code: "PC_LABEL_INVALID",
    message: `${JSON.stringify(value)} is not a label value`,
    remedy: "write at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
  };
}

/** Name of an object: a DNS subdomain, at most 253 bytes, lower case. */
export function checkObjectName(name: string): Finding | null {
  if (isSubdomain(name)) return null;
  return {
    code: "PC_NAME_INVALID",
    message: `${JSON.stringify(name)} is not an object name`,
    remedy: "write lower-case letters, digits, '-' or '.', with a letter or digit at both ends",
  };
}

/** An object name, and a label's value, that is as much like the text as can be: `Python3_x` is `python3-x`. */
export function nearestObjectName(text: string): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, "-")
    .replaceAll(/[-.]*\.[-.]*/g, ".");
  return plain.slice(0, MAX_LABEL_VALUE_LENGTH).replaceAll(/^[-.]+|[-.]+$/g, "") || "command";
}

export const DNS_LABEL_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const DNS_LABEL = new RegExp(DNS_LABEL_PATTERN);

/** Name of a namespace or a container: a DNS label. `what` stands in the message. */
export function checkDnsLabel(name: string, what: string): Finding | null {
  if (name.length <= 63 && DNS_LABEL.test(name)) return null;
  return {
    code: "PC_NAME_INVALID",
    message: `${JSON.stringify(name)} is not a ${what} name`,
    remedy: "write at most 63 lower-case letters, digits or '-', with a letter or digit at both ends",
  };
}

function isSubdomain(text: string): boolean {
  return text.length <= MAX_SUBDOMAIN_LENGTH && SUBDOMAIN.test(text);
}
