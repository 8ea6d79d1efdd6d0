/** DNS names as profiles list them: exact (`www.example.com`), below (`*.example.com`) or all (`*`). */
import { isIPv4 } from "node:net";
import type { Finding } from "./fields.ts";

/** Bytes of a name, without the trailing dot (RFC 1035, 2.3.4: 255 on the wire). */
export const MAX_NAME_LENGTH = 253;
export const MAX_LABEL_LENGTH = 63;

/**
 * What the API server checks; `checkName` checks more (addresses, total length without the dot) with better words.
 * RE2 and ECMAScript read it alike.
 */
export const NAME_PATTERN = "^(\\*|(\\*\\.)?([A-Za-z0-9_-]{1,63}\\.)*[A-Za-z0-9_-]{1,63}\\.?)$";

const LABEL = /^[A-Za-z0-9_-]+$/;

/** Lower case, without the trailing dot: the form in which names are compared. */
export function normalizeName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** What is wrong with a name that a profile lists; null where nothing is. */
export function checkName(text: string): Finding | null {
  const shown = JSON.stringify(text);
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name === "") return finding(`${shown} is not a DNS name`, "write a name such as www.example.com");
  if (name === "*") return text === "*" ? null : finding(`${shown} is not a DNS name`, 'write "*" for every name');
  if (text.includes("://")) {
    return finding(`${shown} is a URL, not a DNS name`, "write the host's name only, without scheme, port and path");
  }
  if (isIPv4(name) || name.includes(":")) {
    return finding(`${shown} is not a DNS name`, "list addresses under cidr4 or cidr6, ports under l4.protocolPorts");
  }
  if (Buffer.byteLength(name) > MAX_NAME_LENGTH) {
    return finding(`the name is longer than ${MAX_NAME_LENGTH} bytes: ${shown.slice(0, 40)}...`, "shorten it");
  }
  return checkLabels(shown, name.split("."));
}

function checkLabels(shown: string, labels: readonly string[]): Finding | null {
  for (const [index, label] of labels.entries()) {
    if (label === "*" && index === 0) continue;
    if (label.includes("*")) {
      return finding(
        `${shown} has a "*" that is not the whole first label`,
        'write "*.example.com" for all names below example.com, or "*" for every name',
      );
    }
    if (label === "")
      return finding(`${shown} has an empty label`, "put one dot between two labels, and none in front");
    if (label.length > MAX_LABEL_LENGTH) {
      return finding(`${shown} has a label longer than ${MAX_LABEL_LENGTH} bytes`, "shorten it");
    }
    if (!LABEL.test(label)) {
      return finding(
        `${shown} has a character that is not a letter, digit, "-" or "_"`,
        "write internationalised names in their ASCII form (xn--...)",
      );
    }
  }
  return null;
}

function finding(message: string, remedy: string): Finding {
  return { code: "PC_NAME_INVALID", message, remedy };
}

/** Whether a pattern (normalised) covers all names that another one stands for. */
export function nameCovers(pattern: string, other: string): boolean {
  if (pattern === "*" || pattern === other) return true;
  if (!pattern.startsWith("*.")) return false;
  const suffix = pattern.slice(1);
  return other.endsWith(suffix) && other.length > suffix.length;
}
