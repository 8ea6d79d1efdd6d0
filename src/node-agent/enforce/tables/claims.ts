/** Owners' claims on the memory for processes, paths, registered sockets and connects (bpf/include/memory/claim.h). */
import {
  ANCESTRIES_CLAIM,
  ANCESTRIES_CLAIM_ALL,
  CLAIM_OWNER_ALL,
  type Claim,
  type ClaimKey,
  ClaimKind,
  CONNECTS_CLAIM,
  GATED_CLAIM,
  PATHS_CLAIM,
  PATHS_CLAIM_ALL,
  PROCESSES_CLAIM,
  REGISTRATIONS_CLAIM,
} from "../../../gen/abi.gen.ts";
import type { Maps } from "../../kernel/typed-maps.ts";
import type { FullShare } from "./shares.ts";

/** The highest bit of an owner: it is a network namespace by its inode number. */
const OWNER_NAMESPACE = 1n << 63n;

const ALL = BigInt(CLAIM_OWNER_ALL);

/** From which part of an owner's claim on what it has is worth being looked through. */
const PRESSURE = 0.5;

/** Owners that wanted more than their part. Null: a cgroup that is no guarded workload's, or all owners together. */
export interface ExhaustedClaim extends FullShare {
  netnsInum: number | null;
}

const CONSEQUENCES: ReadonlyMap<number, { name: string; consequence: string }> = new Map([
  [ClaimKind.PROCESSES, { name: "processes", consequence: "the others are judged by default" }],
  [
    ClaimKind.PATHS,
    { name: "paths of executables", consequence: "the others have no name, and are judged by default" },
  ],
  [
    ClaimKind.ANCESTRIES,
    {
      name: "sets of ancestors of processes",
      consequence: "the others meet no ancestors or notAncestors of a profile",
    },
  ],
  [
    ClaimKind.CONNECTS,
    { name: "unanswered connects", consequence: "of the others it is not recorded that they failed, and why" },
  ],
  [ClaimKind.REGISTRATIONS, { name: "registered sockets", consequence: "the others are known by their storage alone" }],
]);

/** Owners that wanted more than their part. */
export function exhaustedClaims(claims: Maps["claims"]): ExhaustedClaim[] {
  return [...claims.entries()].flatMap(([key, { refused }]) => {
    const words = CONSEQUENCES.get(key.kind);
    if (words === undefined || refused === 0n) return [];
    const netnsInum = key.owner >= OWNER_NAMESPACE ? Number(key.owner - OWNER_NAMESPACE) : null;
    return [{ ...words, size: sizeOf(key), lost: Number(refused), netnsInum }];
  });
}

/** Whether somebody has so much of a kind (ClaimKind) that it is worth a look for what nobody needs any more. */
export function isClaimShort(claims: Maps["claims"], kind: number): boolean {
  return [...claims.entries()].some(([key, { count }]) => key.kind === kind && Number(count) > sizeOf(key) * PRESSURE);
}

/** Sets every claim to what is there: after entries were removed, and where an event was missed. */
export function recountClaims(
  maps: Pick<Maps, "claims" | "connects" | "gated" | "processes" | "pathTexts" | "ancestrySets" | "registered">,
): void {
  const found = new Map<string, Claim & ClaimKey>();
  const entryOf = (kind: number, owner: bigint): Claim & ClaimKey => {
    const entry = found.get(`${kind} ${owner}`) ?? { kind, owner, count: 0n, refused: 0n };
    found.set(`${kind} ${owner}`, entry);
    return entry;
  };
  for (const [{ kind, owner }, { refused }] of maps.claims.entries()) entryOf(kind, owner).refused = refused;
  for (const [, { owner }] of maps.processes.entries()) entryOf(ClaimKind.PROCESSES, owner).count += 1n;
  for (const [, { owner }] of maps.gated.entries()) entryOf(ClaimKind.GATED, owner).count += 1n;
  for (const [, { owner }] of maps.registered.entries()) entryOf(ClaimKind.REGISTRATIONS, owner).count += 1n;
  for (const [, { owner }] of maps.connects.entries()) entryOf(ClaimKind.CONNECTS, owner).count += 1n;
  for (const [, { owner }] of maps.pathTexts.entries()) {
    entryOf(ClaimKind.PATHS, owner).count += 1n;
    entryOf(ClaimKind.PATHS, ALL).count += 1n;
  }
  for (const [, { owner }] of maps.ancestrySets.entries()) {
    entryOf(ClaimKind.ANCESTRIES, owner).count += 1n;
    entryOf(ClaimKind.ANCESTRIES, ALL).count += 1n;
  }
  maps.claims.setAll([...found.values()].map((entry) => [entry, entry]));
}

/** Gives the place of a namespace in `gated` back to its owner. */
export function returnGatedClaim(claims: Maps["claims"], owner: bigint): void {
  const key = { kind: ClaimKind.GATED, owner };
  const claim = claims.get(key);
  if (claim !== undefined && claim.count > 0n) claims.set(key, { ...claim, count: claim.count - 1n });
}

function sizeOf({ kind, owner }: ClaimKey): number {
  if (kind === ClaimKind.PROCESSES) return PROCESSES_CLAIM;
  if (kind === ClaimKind.REGISTRATIONS) return REGISTRATIONS_CLAIM;
  if (kind === ClaimKind.CONNECTS) return CONNECTS_CLAIM;
  if (kind === ClaimKind.GATED) return GATED_CLAIM;
  if (kind === ClaimKind.ANCESTRIES) return owner === ALL ? ANCESTRIES_CLAIM_ALL : ANCESTRIES_CLAIM;
  return owner === ALL ? PATHS_CLAIM_ALL : PATHS_CLAIM;
}
