/** A value that a criterion cannot have: the message names both, and says what may stand there. Code PC_FILTER_INVALID. */
import { UsageError } from "../../api/errors.ts";

export class FilterError extends UsageError {
  constructor(criterion: string, value: string, remedy: string) {
    super(`the filter ${criterion} cannot be ${JSON.stringify(value)}: ${remedy}`, {}, "PC_FILTER_INVALID");
  }
}

/** The values, each of which has to be of a closed list. @throws FilterError */
export function ofList(criterion: string, values: readonly string[], list: readonly string[]): ReadonlySet<string> {
  const stranger = values.find((value) => !list.includes(value));
  if (stranger !== undefined) throw new FilterError(criterion, stranger, `there are ${list.join(", ")}`);
  return new Set(values);
}
