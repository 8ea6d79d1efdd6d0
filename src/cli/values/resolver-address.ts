/** `--resolver ADDRESS`. */
import { UsageError } from "../../api/errors.ts";
import { parseIp } from "../../policy/table/addresses.ts";

/** @throws UsageError */
export function resolverAddress(text: string): string {
  if (parseIp(text) === null) throw new UsageError(`--resolver ${text}: write an address, e.g. 10.96.0.10`);
  return text;
}
