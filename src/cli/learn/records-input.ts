/** Records that commands of learning read, of the agent or of files, and what their options say of the workload. */
import { type Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { DEFAULT_NAMESPACE } from "../../api/normalize.ts";
import { printableLines } from "../../api/printable.ts";
import type { PodAddresses } from "../../learn/pod-addresses.ts";
import { type RecordedWorkload, RecordedWorkloads } from "../../learn/recorded-workloads.ts";
import { type Answer, answerOfAgent, answerOfFile, DEFAULT_SERVER, missingIn } from "../observe/answers.ts";
import { parseMoment } from "../values/moments.ts";
import { resolverAddress } from "../values/resolver-address.ts";

export interface RecordOptions {
  /** Absent: the agent is asked. */
  inputFile?: string[];
  server: string;
  /** ms since 1970. */
  since?: number;
  resolver?: string[];
  searchDomain?: string[];
}

export interface ReadRecords {
  workloads: RecordedWorkload[];
  pods: PodAddresses;
  /** What is missing, in words. */
  missing: string[];
}

function collect(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

export function addRecordOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--input-file <file>",
        "events as JSON, one a line, instead of the agent's records: of run, agent or observe; -: standard input; repeatable",
      ).argParser(collect),
    )
    .option("--server <path>", "socket of the agent: observe.sock in the folder of its state", DEFAULT_SERVER)
    .addOption(
      new Option("--since <time>", "from then on: RFC 3339, or how long ago, such as 24h").argParser(parseMoment),
    )
    .addOption(
      new Option("--resolver <address>", "a name server of the workload's resolv.conf; repeatable").argParser(
        (text: string, before: string[] | undefined) => collect(resolverAddress(text), before),
      ),
    )
    .addOption(new Option("--search-domain <domain>", "of the workload's resolv.conf; repeatable").argParser(collect));
}

/** @throws UsageError, RecordsServerError where nothing can be read, or there is nothing in it */
export async function readWorkloads(options: RecordOptions): Promise<ReadRecords> {
  const recorded = new RecordedWorkloads();
  const missing: string[] = [];
  for (const answer of answersOf(options)) missing.push(...(await readInto(recorded, answer)));
  const workloads = recorded.end();
  if (workloads.length > 0) return { workloads, pods: recorded.pods, missing };
  const where = options.inputFile === undefined ? options.server : `--input-file ${options.inputFile.join(", ")}`;
  throw new UsageError(`${where}: there is no verdict in it`);
}

function answersOf({ inputFile, server, since }: RecordOptions): Answer[] {
  const query = { select: { allow: [], deny: [] }, follow: false, ...(since === undefined ? {} : { since }) };
  if (inputFile === undefined) return [answerOfAgent(server, query, new AbortController().signal)];
  return inputFile.map((file) => answerOfFile(file, query));
}

async function readInto(workloads: RecordedWorkloads, answer: Answer): Promise<string[]> {
  for (;;) {
    const next = await answer.next();
    if (next.done === true) return missingIn(next.value);
    workloads.add(next.value.record);
  }
}

/** Says what is missing on standard error. @returns whether something is */
export function noteMissing(missing: readonly string[]): boolean {
  for (const line of missing) process.stderr.write(`${printableLines(line)}\n`);
  return missing.length > 0;
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
