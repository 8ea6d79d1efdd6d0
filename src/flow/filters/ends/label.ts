/** Ends that are pods with labels: `app=web`, `app!=web`, `app`, `!app`, several of them with commas, as kubectl has them. */
import { checkLabelKey, checkLabelValue } from "../../../api/labels.ts";
import { FilterError } from "../error.ts";
import type { EndTest } from "./end.ts";

type Labels = Readonly<Record<string, string>>;
type Requirement = (labels: Labels) => boolean;

const REQUIREMENT = /^(?<not>!)?(?<key>[^=!]+?)(?:(?<operator>!=|==?)(?<value>.*))?$/;

export function hasLabels(selectors: readonly string[]): EndTest {
  const wanted = selectors.map((selector) => selector.split(",").map((text) => requirement(selector, text.trim())));
  return ({ workload }) =>
    workload !== null && wanted.some((requirements) => requirements.every((holds) => holds(workload.labels)));
}

/** @throws FilterError */
function requirement(selector: string, text: string): Requirement {
  const { not, key = "", operator, value = "" } = REQUIREMENT.exec(text)?.groups ?? {};
  const isBad =
    (not !== undefined && operator !== undefined) || checkLabelKey(key) !== null || checkLabelValue(value) !== null;
  if (isBad) throw new FilterError("label", selector, "write key=value, key!=value, key or !key, several with commas");
  if (operator === undefined) return (labels) => key in labels === (not === undefined);
  return (labels) => (labels[key] === value) === (operator !== "!=");
}
