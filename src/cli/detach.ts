/** `portcullis detach`: takes enforcement off, whether or not an agent is there to do it. */

import { rmSync } from "node:fs";
import { basename } from "node:path";
import { Command, Option } from "commander";
import { PortcullisError, UsageError } from "../api/errors.ts";
import { jsonText, printable } from "../api/printable.ts";
import type { OutputFormat } from "../export/line-sink.ts";
import { boundNamespaceInum, namespacePath } from "../node-agent/discovery/namespaces/bound-namespaces.ts";
import {
  deadPinRoots,
  detachAll,
  detachWorkload,
  type Removal,
  removedSomething,
} from "../node-agent/enforce/detach.ts";
import { DEFAULT_PIN_ROOT, defaultStateDirectory, removeKeptState } from "../node-agent/enforce/state/state.ts";
import { PRIVATE_FOLDER } from "../node-agent/sandbox/private-namespace.ts";
import { collectLeftovers } from "../node-agent/sandbox/private-remains.ts";
import { exclusively } from "../node-agent/sandbox/private-slots.ts";
import { fold } from "../terminal/fit.ts";
import { lineWidth } from "../terminal/width.ts";
import { addOutputOption, addPinOptions, keptDirectoryOf, type PinOptions, pinsOf } from "./agent/node-options.ts";
import { recordsFolder } from "./agent/records-options.ts";
import { endSignal } from "./end-signal.ts";
import { exitStatusHelp } from "./exit-status.ts";
import { requireRoot } from "./node-access.ts";
import { RUN_FOLDER, RUN_PREFIX } from "./run/run-pins.ts";

interface DetachOptions extends PinOptions {
  all?: boolean;
  netns?: string;
  stay: boolean;
  output: OutputFormat;
  keepRecords: boolean;
}

interface Detached extends Removal {
  pinRoot: string;
}

const EXAMPLES = `
Examples:
  portcullis detach --all           everything: programs, pins and state
  portcullis detach --netns ping    one workload; the others stay guarded

Stop a running agent first: while it runs, detach refuses.

${exitStatusHelp({
  0: "removed, or there was nothing to remove",
  1: "not removed: an agent is running, there is no such namespace, or another agent guards it",
})}`;

export function detachCommand(): Command {
  const command = new Command("detach")
    .summary("end enforcement on this machine")
    .description(
      "Ends enforcement: removes the programs from the interfaces, and what is pinned and stored. Works without an agent.",
    )
    .addOption(new Option("--all", "everything").conflicts("netns"))
    .option("--netns <name>", "the workload of one network namespace")
    .option("--keep-records", "leave the records of this node where they are", false)
    .option("--stay", "then wait for a signal, as a container that must not end", false);
  addOutputOption(command, "format of the report");
  addPinOptions(command);
  return command.addHelpText("after", EXAMPLES).action(async (options: DetachOptions) => {
    requireRoot("detach");
    const detached = options.netns === undefined ? await everything(options) : [oneWorkload(options, options.netns)];
    const isJson = options.output === "json";
    process.stdout.write(isJson ? `${jsonText(detached)}\n` : reportText(detached, lineWidth(process.stdout)));
    if (options.stay) await endSignal();
  });
}

async function everything(options: DetachOptions): Promise<Detached[]> {
  if (options.all !== true) throw new UsageError("portcullis detach: say what to take off: --all, or --netns NAME");
  const { pinRoot, stateDirectory } = pinsOf(options);
  const dead = pinRoot === DEFAULT_PIN_ROOT ? await deadRuns() : [];
  const removal = detachAll(pinRoot, stateDirectory);
  if (!options.keepRecords) rmSync(recordsFolder(options), { recursive: true, force: true });
  removeKeptState(keptDirectoryOf(options));
  return [
    { pinRoot, ...removal },
    ...dead.map((root) => ({ pinRoot: root, ...detachAll(root, defaultStateDirectory(root)) })),
  ];
}

/** What a killed `portcullis run` has left is nobody's any more: ends what still runs there. @returns where it had pinned */
async function deadRuns(): Promise<string[]> {
  const { failures } = await exclusively(PRIVATE_FOLDER, () => collectLeftovers(PRIVATE_FOLDER));
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return deadPinRoots(RUN_FOLDER, RUN_PREFIX, defaultStateDirectory);
}

function oneWorkload(options: DetachOptions, name: string): Detached {
  const { pinRoot, stateDirectory } = pinsOf(options);
  const netnsInum = boundNamespaceInum(namespacePath(name));
  const removal = detachWorkload(pinRoot, stateDirectory, { name, netnsInum });
  if (netnsInum === null && !removedSomething(removal)) {
    throw new PortcullisError(
      "PC_NETNS_ABSENT",
      `there is no network namespace ${name}, and no workload of this name under ${pinRoot}; \`portcullis status\` names those that are there`,
    );
  }
  return { pinRoot, ...removal };
}

function reportText(detached: readonly Detached[], width: number): string {
  return detached
    .flatMap((one) => fold(printable(text(one)), width, 2))
    .map((line) => `${line}\n`)
    .join("");
}

function text({ pinRoot, ...removal }: Detached): string {
  if (!removedSomething(removal)) return `nothing to remove under ${pinRoot}`;
  const { interfaces, links, maps, state } = removal;
  const parts = [
    ...(interfaces.length === 0 ? [] : [`programs on ${interfaces.join(", ")}`]),
    ...(links === 0 ? [] : [`${links} other programs`]),
    ...(maps === 0 ? [] : [`${maps} maps`]),
    ...(state ? ["the state file"] : []),
  ];
  return `removed from ${basename(pinRoot)}: ${parts.join(", ")}`;
}
