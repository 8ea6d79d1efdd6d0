/** Records that commands of learning read, and what they are told about the workload beside them. */
import { type Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { DEFAULT_NAMESPACE } from "../../api/normalize.ts";
import { type RecordedWorkload, RecordedWorkloads } from "../../learn/recorded-workloads.ts";
import { readEvents } from "../input/event-lines.ts";
import { parseDuration } from "../values/durations.ts";
import { resolverAddress } from "../values/resolver-address.ts";

export interface RecordOptions {
  inputFile: string[];
  since?: number;
  resolver?: string[];
  searchDomain?: string[];
}

function collect(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

/** @param required false: the command has another thing to ask, too */
export function addRecordOptions(command: Command, required = true): Command {
  return command
    .addOption(
      new Option(
        "--input-file <file>",
        "events as JSON, one a line: of run, agent or observe; -: standard input; repeatable",
      )
        .argParser(collect)
        .makeOptionMandatory(required),
    )
    .addOption(new Option("--since <time>", "only what happened in this time before now").argParser(parseDuration))
    .addOption(
      new Option("--resolver <address>", "a name server of the workload's resolv.conf; repeatable").argParser(
        (text: string, before: string[] | undefined) => collect(resolverAddress(text), before),
      ),
    )
    .addOption(new Option("--search-domain <domain>", "of the workload's resolv.conf; repeatable").argParser(collect));
}

/** @throws UsageError where a file cannot be read, or there is nothing in it */
export function readWorkloads({ inputFile, since }: RecordOptions): RecordedWorkload[] {
  const workloads = new RecordedWorkloads();
  const from = since === undefined ? "" : new Date(Date.now() - since).toISOString();
  for (const file of inputFile) {
    for (const event of readEvents(file, "--input-file")) if (event.time >= from) workloads.add(event);
  }
  const read = workloads.end();
  if (read.length === 0) throw new UsageError(`--input-file ${inputFile.join(", ")}: there is no verdict in it`);
  return read;
}

/** The workload of this name, or the only one. @param text `name` or `namespace/name`: a pod's, or that of its owner @throws UsageError */
export function chosenWorkload(workloads: readonly RecordedWorkload[], text: string | undefined): RecordedWorkload {
  const chosen = text === undefined ? workloads : workloads.filter((workload) => isCalled(workload, text));
  const [only] = chosen;
  if (only !== undefined && chosen.length === 1) return only;
  const names = workloads.map(({ namespace, name }) => `${namespace}/${name}`).join(", ");
  const what =
    text === undefined
      ? "say which workload"
      : `${text} is ${chosen.length === 0 ? "none" : "several"} of the workloads`;
  throw new UsageError(`${what}: there are records of ${names}`);
}

/** A name alone is of any namespace. */
function isCalled({ namespace, name, recording }: RecordedWorkload, text: string): boolean {
  const slash = text.indexOf("/");
  const called = text.slice(slash + 1);
  if (slash >= 0 && text.slice(0, slash) !== (namespace || DEFAULT_NAMESPACE)) return false;
  return name === called || recording.coverage().replicas.some((replica) => replica.split(/[/ ]/)[1] === called);
}
