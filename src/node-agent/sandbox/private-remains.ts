/** Removing a private namespace from the host: all that bears its number, whether it was made whole or in part. */
import { rmSync } from "node:fs";
import { causeText } from "../../api/errors.ts";
import { boundNamespaceInum, namespacePath, removeBoundNamespace } from "../discovery/namespaces/bound-namespaces.ts";
import { signalNamespace } from "../discovery/namespaces/namespace-processes.ts";
import { RouteConnection } from "../netlink/connection.ts";
import { WorkloadError } from "../netlink/errors.ts";
import { deleteLink, findLink } from "../netlink/links.ts";
import { applyRuleset } from "../netlink/nft.ts";
import { HOST_INTERFACE_PREFIX, removalText } from "./private-ruleset.ts";
import { claimLeftovers } from "./private-slots.ts";

/** Everything on the host that is named after a private namespace. */
export interface PrivateNames {
  /** In /run/netns. */
  namespace: string;
  hostInterface: string;
  /** nftables table of the inet family. */
  table: string;
  /** Path of the resolv.conf that the command sees. */
  resolvConf: string;
}

export function privateNames(id: number, folder: string): PrivateNames {
  return {
    namespace: `portcullis-${id}`,
    hostInterface: `${HOST_INTERFACE_PREFIX}${id}`,
    table: `portcullis_${id}`,
    resolvConf: `${folder}/resolv-${id}.conf`,
  };
}

/** Removes what there is of a private namespace. Does all that it can before it throws. */
export function removePrivateNamespace(id: number, folder: string): void {
  const names = privateNames(id, folder);
  // Begins with what was deferred last: first the processes, last the file.
  using steps = new DisposableStack();
  steps.defer(() => rmSync(names.resolvConf, { force: true }));
  steps.defer(() => removeBoundNamespace(names.namespace));
  steps.defer(() => applyRuleset(removalText(names.table)));
  steps.defer(() => removeLink(names.hostInterface));
  steps.defer(() => killProcesses(names.namespace));
}

function removeLink(name: string): void {
  using own = new RouteConnection();
  const link = findLink(own, name);
  if (link !== null) deleteLink(own, link.index);
}

function killProcesses(namespace: string): void {
  const inum = boundNamespaceInum(namespacePath(namespace));
  if (inum !== null) signalNamespace(inum, "SIGKILL");
}

/**
 * Removes the private namespaces whose owners have died. To be called within `exclusively`.
 *
 * @returns their numbers, and what could not be removed; that is tried again the next time
 */
export function collectLeftovers(folder: string): { collected: number[]; failures: WorkloadError[] } {
  const collected: number[] = [];
  const failures: WorkloadError[] = [];
  for (const slot of claimLeftovers(folder)) {
    try {
      removePrivateNamespace(slot.number, folder);
      slot.release();
      collected.push(slot.number);
    } catch (error) {
      slot.abandon();
      failures.push(leftBehind(slot.number, error));
    }
  }
  return { collected, failures };
}

function leftBehind(id: number, cause: unknown): WorkloadError {
  const message =
    `what an earlier \`portcullis run\` left behind (number ${id}) cannot be removed: ${causeText(cause)}. ` +
    "The next run tries again";
  return new WorkloadError("PC_RUN_SETUP", message, { cause });
}
