/** Reading resolv.conf files. */
import { readFileSync } from "node:fs";
import { causeCode, UnreadableError } from "../../api/errors.ts";
import { parseResolvConf, type ResolverConfiguration } from "./resolv-conf.ts";

/** What the file says; null where there is no such file. @throws UnreadableError */
export function readResolvConf(path: string): ResolverConfiguration | null {
  try {
    return parseResolvConf(readFileSync(path, "utf8"));
  } catch (error) {
    if (causeCode(error) === "ENOENT") return null;
    throw new UnreadableError(path, error);
  }
}
