/** Profiles against recorded workloads, for the commands that ask about both. */
import type { Command } from "commander";
import { UsageError } from "../../api/errors.ts";
import type { SecurityProfile } from "../../api/types.ts";
import type { PodAddresses } from "../../learn/pod-addresses.ts";
import type { RecordedWorkload } from "../../learn/recorded-workloads.ts";
import { askedResolver, type Replay, replay } from "../../learn/replay.ts";
import { CompileError } from "../../policy/table/errors.ts";
import { requireProfiles } from "../input/manifest-files.ts";
import { addRecordOptions, chosenWorkload, type RecordOptions, readWorkloads } from "./records-input.ts";

export interface ReplayOptions extends RecordOptions {
  profiles: string[];
}

export interface ReplayedWorkload extends Replay {
  workload: RecordedWorkload;
  /** What the peer `resolver` was taken for. */
  resolvers: string[];
  /** Of all recorded workloads. */
  pods: PodAddresses;
}

export function addReplayOptions(command: Command): Command {
  command
    .argument("[workload]", "name of a pod or of its Deployment, with its namespace where two have it; absent: all")
    .requiredOption("-f, --profiles <path...>", "profiles: files, folders, or - for standard input");
  return addRecordOptions(command);
}

/** Those that a profile selects. @throws UsageError where none is selected, or profiles cannot be united */
export async function replayedWorkloads(
  name: string | undefined,
  options: ReplayOptions,
): Promise<{ profiles: SecurityProfile[]; workloads: ReplayedWorkload[]; pods: PodAddresses; missing: string[] }> {
  const profiles = requireProfiles(options.profiles);
  const { workloads: recorded, pods, missing } = await readWorkloads(options);
  const chosen = name === undefined ? recorded : [chosenWorkload(recorded, name)];
  const workloads = chosen
    .map((workload) => replayOne(profiles, workload, pods, options))
    .filter(({ selected }) => selected);
  if (workloads.length > 0) return { profiles, workloads, pods, missing };
  const names = chosen.map((workload) => `${workload.namespace}/${workload.name}`).join(", ");
  throw new UsageError(`no profile selects ${names}, so that nothing of it would be judged`);
}

function replayOne(
  profiles: SecurityProfile[],
  workload: RecordedWorkload,
  pods: PodAddresses,
  options: ReplayOptions,
): ReplayedWorkload {
  const { resolver, searchDomain: searchDomains = [] } = options;
  const asked = askedResolver(workload.recording.observations());
  const resolvers = resolver ?? (asked === null ? [] : [asked]);
  try {
    return { ...replay(profiles, workload, { resolvers, searchDomains }, pods), workload, resolvers, pods };
  } catch (cause) {
    if (!(cause instanceof CompileError)) throw cause;
    throw new UsageError(`${workload.namespace}/${workload.name}: ${cause.message}`, { cause });
  }
}
