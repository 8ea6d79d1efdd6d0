/** The nft command: the one user interface of nftables that does not change with its library. */
import { spawnSync } from "node:child_process";
import { causeCode } from "../../api/errors.ts";
import { WorkloadError } from "./errors.ts";

/** nft is where users' search paths often do not look. */
const SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin";

function nft(args: readonly string[], input: string): string {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ""}:${SYSTEM_PATH}` };
  const { error, status, stdout, stderr } = spawnSync("nft", args, { env, input, encoding: "utf8" });
  if (causeCode(error) === "ENOENT") {
    throw new WorkloadError(
      "PC_RUN_NFT_MISSING",
      "the nft command is not installed; `portcullis run` needs it to connect the command to the outside. Install the package nftables",
    );
  }
  if (error !== undefined || status !== 0) {
    const said = error?.message ?? stderr.trim();
    throw new WorkloadError(
      "PC_RUN_NFT_REFUSED",
      `nft ${args.join(" ")} failed: ${said}. Check that this kernel has nftables with NAT (nf_tables, nft_chain_nat)`,
    );
  }
  return stdout;
}

/** Applies rules, all of them or none. @throws WorkloadError (PC_RUN_NFT_MISSING, PC_RUN_NFT_REFUSED) */
export function applyRuleset(text: string): void {
  nft(["-f", "-"], text);
}

/** A chain at the forward hook that drops what no rule of it accepts. */
export interface ClosedChain {
  family: string;
  table: string;
  name: string;
}

interface ChainListing {
  nftables: { chain?: { family: string; table: string; name: string; hook?: string; policy?: string } }[];
}

/** Chains of others that stop forwarded packets unless set otherwise. @throws WorkloadError */
export function closedForwardChains(): ClosedChain[] {
  const listing = JSON.parse(nft(["-j", "list", "chains"], "")) as ChainListing;
  return listing.nftables.flatMap(({ chain }) => (chain?.hook === "forward" && chain.policy === "drop" ? [chain] : []));
}
