/** Folders of a machine that each node has of its own: mounted over the machine's, in the node's mount namespace. */
import { readdirSync, readFileSync, rmdirSync } from "node:fs";
import { causeCode } from "../../../../src/api/errors.ts";

export const OWN_FOLDERS = ["/var/lib/kubelet", "/var/log/pods", "/var/log/containers", "/var/lib/portcullis"];

/** Removes the machine's, which are there for the mounts only, unless they are somebody else's too. */
export function removeOwnFolders(): void {
  // The kernel takes a mount away with its folder, in whichever namespace it is.
  const mounted = mountPoints();
  for (const path of OWN_FOLDERS.filter((candidate) => !mounted.has(candidate))) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (!["ENOENT", "ENOTEMPTY", "EBUSY"].includes(causeCode(error) ?? "")) throw error;
    }
  }
}

/** Of all processes. */
function mountPoints(): Set<string> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return new Set(pids.flatMap(mountPointsOf));
}

function mountPointsOf(pid: string): string[] {
  try {
    const lines = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n");
    return lines.map((line) => line.split(" ")[4] ?? "");
  } catch (error) {
    // It has ended.
    if (["ENOENT", "ESRCH", "EINVAL", "EACCES"].includes(causeCode(error) ?? "")) return [];
    throw error;
  }
}
