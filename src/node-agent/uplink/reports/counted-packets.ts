/** The kernel's packet counters, attributed to the processes of profiles. */
import { DIRECTIONS, REASONS, VERDICTS } from "../../../api/reasons.ts";
import { type Counter, type CounterKey, PATH_ID_MODIFIED } from "../../../gen/abi.gen.ts";
import type { BinaryRules, RuleTable } from "../../../policy/table/tables.ts";
import type { WorkloadState } from "../../enforce/state/state.ts";
import type { CountedPackets } from "./counter-report.ts";

export interface CountingParts {
  counters: { entries(): Iterable<[CounterKey, Counter]> };
  /** The path behind a number. */
  path(id: number): string | null;
  workloads(): readonly WorkloadState[];
  /** The table in force of this number. */
  table(id: number): RuleTable | null;
}

type Subject = CountedPackets["subjects"][number];

/** All counters that are not zero. */
export function countedPackets({ counters, path, workloads, table }: CountingParts): CountedPackets[] {
  const byId = new Map(workloads().map((workload) => [workload.id, workload]));
  const subjects = new Map<string, Subject[]>();
  const counted: CountedPackets[] = [];
  for (const [key, { packets }] of counters.entries()) {
    if (packets === 0n) continue;
    const workload = byId.get(key.workloadId);
    const rules = workload?.tableId == null ? null : table(workload.tableId);
    const subjectKey = `${key.workloadId}/${key.pathId}`;
    const known = subjects.get(subjectKey);
    const asked =
      known ?? (rules === null ? [] : subjectsOf(rules, executable(key.pathId, path), workload?.files ?? {}));
    if (known === undefined) subjects.set(subjectKey, asked);
    counted.push({
      key: [key.workloadId, key.pathId, key.direction, key.reason, key.verdict].join("/"),
      packets: Number(packets),
      direction: DIRECTIONS[key.direction] ?? "egress",
      verdict: VERDICTS[key.verdict] ?? "dropped",
      reason: REASONS[key.reason] ?? "Malformed",
      subjects: asked,
    });
  }
  return counted;
}

/**
 * The entries of profiles that a process of a path is judged by: one for each profile that lists it; for one that is not
 * listed, or has changed, the default of each profile that has one, or else of all.
 */
export function subjectsOf(table: RuleTable, path: string | null, files: Readonly<Record<string, string>>): Subject[] {
  const entries = table.binaries.filter((binary) => binary.path === path);
  if (path === null || entries.length === 0) {
    const rules = table.default;
    const profiles = rules === null ? [] : profilesOf(rules);
    return (profiles.length > 0 ? profiles : table.profiles).map((profile) => ({ profile, path: "", container: "" }));
  }
  const listed = listedAs(table, path, files);
  const containers = new Set(entries.map(({ container }) => container ?? ""));
  const container = containers.size === 1 ? ([...containers][0] ?? "") : "";
  const profiles = [...new Set(entries.flatMap(profilesOf))];
  return (profiles.length > 0 ? profiles : table.profiles).map((profile) => ({ profile, path: listed, container }));
}

/** A file that is in the table only because a listed link leads to it goes by the link's name. */
function listedAs(table: RuleTable, file: string, files: Readonly<Record<string, string>>): string {
  const links = Object.entries(files)
    .filter(([, target]) => target === file)
    .map(([key]) => key.slice(key.indexOf("/")));
  // Looked up are listed paths only: the file itself is among them if it is listed under its own name.
  if (links.length === 0 || links.includes(file)) return file;
  return links.filter((path) => table.binaries.some((binary) => binary.path === path)).sort()[0] ?? file;
}

function profilesOf({ egress, ingress }: Pick<BinaryRules, "egress" | "ingress">): string[] {
  return [...new Set([...egress.blocks, ...ingress.blocks].map(({ profile }) => profile))].sort();
}

/** A process whose file has changed is nobody that a profile lists. */
function executable(pathId: number, path: (id: number) => string | null): string | null {
  return pathId >= PATH_ID_MODIFIED ? null : path(pathId);
}
