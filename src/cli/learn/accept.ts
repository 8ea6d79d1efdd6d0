/** `portcullis accept`: profiles that allow chosen deviations. */
import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { type Accepted, accept } from "../../learn/accept.ts";
import type { Deviation } from "../../learn/drift.ts";
import type { RecordedWorkload } from "../../learn/recorded-workloads.ts";
import { askedResolver } from "../../learn/replay.ts";
import { profileName } from "../../policy/compile/compile.ts";
import { CompileError } from "../../policy/table/errors.ts";
import { selectProfiles } from "../../policy/table/selection.ts";
import { unifiedDiff } from "../../terminal/unified-diff.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { requireProfiles } from "../input/manifest-files.ts";
import { whatText } from "./observation-text.ts";
import { documentText, profileDocument } from "./profile-yaml.ts";
import { addRecordOptions, chosenWorkload, noteMissing, type RecordOptions, readWorkloads } from "./records-input.ts";

interface AcceptOptions extends RecordOptions {
  profiles: string[];
  id?: string[];
  all?: boolean;
  output: "yaml" | "patch";
}

const EXAMPLES = `
Examples:
  portcullis drift shop/web
  portcullis accept shop/web --id 3f2a91c0 -p web.yaml -o patch
  portcullis accept shop/web --all -p web.yaml > web-new.yaml

${exitStatusHelp({
  0: "the profiles that are printed allow all of it",
  1: "no rule can allow one of the deviations; standard error names it",
  3: "the profiles allow all of it, and records are missing",
})}`;

export function acceptCommand(): Command {
  const command = new Command("accept")
    .summary("add deviations that drift lists to a profile")
    .description(
      "Prints the profiles that select the workload, with what the chosen deviations need and nothing else. Each addition is tried with the compiler and the reference evaluator. Reads the records of this node's agent, which needs root, or events from files.",
    )
    .argument("<workload>", "name of a pod or of its Deployment, with its namespace where two have it: shop/web")
    .requiredOption("-p, --profiles <path...>", "profiles: files, folders, or - for standard input")
    .addOption(
      new Option("--id <id>", "deviation to add, as drift lists it; repeatable").argParser(
        (text: string, before: string[] | undefined) => [...(before ?? []), text],
      ),
    )
    .option("--all", "add every deviation");
  return addRecordOptions(command)
    .addOption(
      new Option("-o, --output <format>", "yaml: the profiles; patch: what is added")
        .choices(["yaml", "patch"])
        .default("yaml"),
    )
    .addHelpText("after", EXAMPLES)
    .action(async (name: string, options: AcceptOptions) => {
      const { workloads, missing } = await readWorkloads(options);
      const workload = chosenWorkload(workloads, name);
      const deviations = chosenDeviations(workload, options);
      const selectable = { namespace: workload.namespace, labels: { ...workload.recording.labels()[0] } };
      const profiles = selectProfiles(requireProfiles(options.profiles), selectable);
      if (profiles.length === 0) throw new UsageError(`${options.profiles.join(", ")}: no profile selects ${name}`);
      const accepted = acceptAll(profiles, workload, deviations, options);
      process.stdout.write(options.output === "yaml" ? yamlOf(accepted) : patchOf(profiles, accepted));
      for (const { id, reason, observation } of accepted.refused) {
        process.stderr.write(`${id}: no rule can allow this (${reason}): ${whatText(observation)}\n`);
      }
      const isIncomplete = noteMissing(missing);
      const allowed = isIncomplete ? ExitStatus.INCOMPLETE : ExitStatus.GOOD;
      process.exitCode = accepted.refused.length > 0 ? ExitStatus.NO : allowed;
    });
}

/** @throws UsageError where none is chosen, or one is not there */
function chosenDeviations({ namespace, name, drift }: RecordedWorkload, { id = [], all }: AcceptOptions): Deviation[] {
  const deviations = drift.deviations();
  if (all === true && id.length > 0) throw new UsageError("give either --id or --all");
  if (all === true) return deviations;
  if (id.length === 0) throw new UsageError("say which deviations: --id as drift lists them, or --all");
  return id.map((wanted) => {
    const found = deviations.find((deviation) => deviation.id === wanted);
    if (found !== undefined) return found;
    throw new UsageError(`--id ${wanted}: ${namespace}/${name} has no such deviation; portcullis drift lists them`);
  });
}

/** @throws UsageError where the profiles cannot be united */
function acceptAll(
  profiles: SecurityProfile[],
  { namespace, name, recording }: RecordedWorkload,
  deviations: readonly Deviation[],
  { resolver, searchDomain: searchDomains = [] }: AcceptOptions,
): Accepted {
  const asked = askedResolver(recording.observations());
  const resolvers = resolver ?? (asked === null ? [] : [asked]);
  const workload = { namespace, labels: { ...recording.labels()[0] } };
  try {
    return accept(profiles, workload, deviations, { resolvers, searchDomains });
  } catch (cause) {
    if (!(cause instanceof CompileError)) throw cause;
    throw new UsageError(`${namespace}/${name}: ${cause.message}`, { cause });
  }
}

function yamlOf({ profiles }: Accepted): string {
  return profiles.map((profile) => documentText(profileDocument(profile))).join("---\n");
}

/** Of the manifests in one form; empty where nothing is added. */
function patchOf(before: readonly SecurityProfile[], { profiles }: Accepted): string {
  const lines = profiles.flatMap((profile, index) => {
    const [old, grown] = [before[index] as SecurityProfile, profile].map((one) => documentText(profileDocument(one)));
    if (old === grown) return [];
    return unifiedDiff({ source: profileName(profile), before: old as string, after: grown as string });
  });
  return lines.map((line) => `${line}\n`).join("");
}
