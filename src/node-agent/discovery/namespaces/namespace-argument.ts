/** The text that names a network namespace to be guarded, and its labels. Pure. */
import { checkDnsLabel, checkLabelKey, checkLabelValue } from "../../../api/labels.ts";
import { WorkloadError } from "../../netlink/errors.ts";

/** A network namespace that was named on the command line. */
export interface NamedNamespace {
  /** As in `ip netns`: the file's name in /run/netns. */
  name: string;
  /** Kubernetes namespace that it stands in for. */
  namespace: string;
  labels: Record<string, string>;
}

const FORM = "write NAME:key=value,key2=value2";

function refuse(text: string, what: string): never {
  throw new WorkloadError("PC_NETNS_ARGUMENT", `network namespace ${JSON.stringify(text)}: ${what}`);
}

/**
 * `NAME:key=value,key2=value2`, or `NAME` alone for a workload without labels.
 *
 * @param namespace Kubernetes namespace whose profiles select it
 * @throws WorkloadError (PC_NETNS_ARGUMENT) that says which part is wrong
 */
export function parseNamedNamespace(text: string, namespace = "default"): NamedNamespace {
  // Neither label keys nor values have colons, names of namespaces may.
  const colon = text.lastIndexOf(":");
  const name = colon < 0 ? text : text.slice(0, colon);
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("=")) {
    refuse(text, `${JSON.stringify(name)} is not the name of a network namespace as \`ip netns\` lists them; ${FORM}`);
  }
  const finding = checkDnsLabel(namespace, "namespace");
  if (finding !== null) refuse(text, `${finding.message}; ${finding.remedy}`);
  return { name, namespace, labels: colon < 0 ? {} : parseLabels(text, text.slice(colon + 1)) };
}

function parseLabels(text: string, list: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const part of list.split(",")) {
    const equals = part.indexOf("=");
    if (equals < 0) refuse(text, `${JSON.stringify(part)} is not a label; ${FORM}`);
    const key = part.slice(0, equals);
    const value = part.slice(equals + 1);
    const finding = checkLabelKey(key) ?? checkLabelValue(value);
    if (finding !== null) refuse(text, `${finding.message}; ${finding.remedy}`);
    if (Object.hasOwn(labels, key)) refuse(text, `the label ${key} is given twice; leave one of them out`);
    labels[key] = value;
  }
  return labels;
}
