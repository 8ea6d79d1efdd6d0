/** What `portcullis run` says of the command: its events and a summary, or the profile that was learned from it. */

import { createWriteStream, existsSync, openSync, writeFileSync } from "node:fs";
import type { Writable } from "node:stream";
import { fileFault, UsageError } from "../../api/errors.ts";
import { nearestObjectName } from "../../api/labels.ts";
import { jsonText } from "../../api/printable.ts";
import type { EventSink } from "../../export/sink.ts";
import { TeeSink } from "../../export/tee.ts";
import type { AgentEvent } from "../../flow/record.ts";
import type { Generalization } from "../../learn/generalize.ts";
import { learn } from "../../learn/learn.ts";
import { Recording } from "../../learn/recording.ts";
import type { Agent } from "../../node-agent/agent.ts";
import type { Workload } from "../../node-agent/discovery/workload.ts";
import type { TrafficCount } from "../../node-agent/enforce/tables/counters.ts";
import type { NodeSettings } from "../../node-agent/enforce/tables/settings.ts";
import type { PublishedPort } from "../../node-agent/sandbox/private-ruleset.ts";
import { lineWidth } from "../../terminal/width.ts";
import { lineSink } from "../agent/node-options.ts";
import { learnedJson, learnedYaml } from "../learn/learned-yaml.ts";
import { Conversations } from "./conversations.ts";
import { trafficLines } from "./traffic-table.ts";

export interface RunReport {
  /** Takes the events. */
  sink: EventSink;
  /** What the kernel has to report for it. */
  settings: Partial<NodeSettings>;
  /** To be called once, when all events have come. */
  finish(agent: Agent, exitCode: number): void;
  /** Settles when everything has been handed to the system. */
  end(): Promise<void>;
}

export interface ReportOptions {
  output?: "text" | "json" | "yaml";
  /** Where events go; standard error where absent. */
  events?: string;
  quiet: boolean;
  /** True: the learned profile goes to standard error. Text: to a file of this name. */
  learn?: true | string;
  publish?: PublishedPort[];
  include?: string[];
  generalize?: Generalization[];
}

/** @throws UsageError if a file cannot be written */
export function runReport(workload: Workload, options: ReportOptions): RunReport {
  return options.learn === undefined ? summaryReport(options) : learnedReport(workload, options.learn, options);
}

type Stream = Writable & { isTTY?: boolean; columns?: number };

/** Standard output is the command's own. */
function reportStream(file: string | undefined): Stream {
  if (file === undefined) return process.stderr;
  try {
    return createWriteStream(file, { fd: openSync(file, "w") });
  } catch (cause) {
    throw new UsageError(`--events ${file} cannot be written: ${fileFault(cause)}`);
  }
}

function summaryReport({ output, events, quiet }: ReportOptions): RunReport {
  const format = output === "json" ? "json" : "text";
  const stream = reportStream(events);
  const lines = lineSink(stream, format, true);
  const conversations = new Conversations();
  return {
    sink: quiet ? conversations : new TeeSink([lines, conversations]),
    settings: {},
    finish: (agent, exitCode) => {
      const summary = { traffic: agent.traffic(), conversations, exitCode };
      stream.write(format === "json" ? summaryJson(summary) : summaryText(summary, lineWidth(stream)));
    },
    end: () => lines.end(),
  };
}

/** Between two events of one kind: names of one address are kept apart by it, and a busy command's events fit what a second holds. */
const LEARNING_INTERVAL_MS = 20;

/** Events are for the recording, and for whoever keeps them. */
function learnedReport(workload: Workload, to: true | string, options: ReportOptions): RunReport {
  const { output, events, publish = [], include = [], generalize = [] } = options;
  if (to !== true && existsSync(to)) {
    throw new UsageError(`--learn ${to}: the file is there already; remove it, or name another`);
  }
  const recording = new Recording();
  const recorder: EventSink = { write: (event: AgentEvent) => recording.add(event), end: async () => {} };
  const kept = events === undefined ? [] : [lineSink(reportStream(events), "json", true)];
  const sink = new TeeSink([recorder, ...kept]);
  return {
    sink,
    settings: { eventInterval: LEARNING_INTERVAL_MS, reportAllowed: true },
    finish: (agent) => {
      recording.lose(agent.unreported());
      for (const { path, address, names } of agent.learnedNames()) recording.know(path, address, names);
      const { name, namespace, labels, resolvers = [], searchDomains } = workload;
      const learned = learn(recording, {
        ...{ name: nearestObjectName(name), namespace, labels, resolvers, searchDomains: searchDomains ?? [] },
        ...{ openPorts: publish, include: new Set(include), generalize: new Set(generalize) },
        podAt: () => null,
      });
      const text = output === "json" ? learnedJson(learned) : learnedYaml(learned);
      if (to === true) process.stderr.write(text);
      else writeLearned(to, text);
    },
    end: () => sink.end(),
  };
}
/** @throws UsageError if it cannot be written */
function writeLearned(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: "wx" });
  } catch (cause) {
    throw new UsageError(`--learn ${file} cannot be written: ${fileFault(cause)}`);
  }
}

interface Summary {
  traffic: TrafficCount[];
  conversations: Conversations;
  exitCode: number;
}

function summaryJson({ traffic, conversations, exitCode }: Summary): string {
  const processes = traffic.map(({ workloadId: _, ...count }) => count);
  const what = { traffic: processes, conversations: conversations.list() };
  return `${jsonText({ time: new Date().toISOString(), type: "summary", exitCode, ...what })}\n`;
}

function summaryText({ traffic, conversations, exitCode }: Summary, width: number): string {
  const packets = trafficLines(traffic, width, "  ");
  const talks = conversations.lines(width, "  ");
  return [
    "",
    `The command has ended with exit status ${exitCode}.`,
    "",
    ...(packets.length === 0 ? ["No packet was sent or received."] : ["Packets by process:", "", ...packets]),
    ...(talks.length === 0 ? [] : ["", "Who talked to whom:", "", ...talks]),
    "",
  ].join("\n");
}
