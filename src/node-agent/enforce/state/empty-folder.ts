/** Folders of the agent's own, once nothing is in them. */
import { rmdirSync } from "node:fs";
import { causeCode } from "../../../api/errors.ts";

/** Gone, still in use, or a container's mount of a host's folder, which only the host can remove. */
const STAYS = ["ENOENT", "ENOTEMPTY", "EBUSY", "EROFS"];

export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (cause) {
    if (!STAYS.includes(causeCode(cause) ?? "")) throw cause;
  }
}
