/** `kubectl portcullis observe`: verdicts of a pod as they are passed, from the agent of its node. */
import { createInterface } from "node:readline";
import { Command, Option } from "commander";
import type { AgentEvent } from "../../node-agent/events/event.ts";
import { eventText, wantsColours } from "../../node-agent/events/text.ts";
import { agentOn, Kubectl, type KubectlOptions, scheduledPod } from "./kubectl.ts";
import { addClusterAccess, type ClusterAccess } from "./options.ts";

interface ObserveOptions extends ClusterAccess, KubectlOptions {
  since: string;
  follow: boolean;
  output: "text" | "json";
}

const NOTE = `
What is refused is always shown. The first packet of each allowed flow is shown if the agents report it
(agent.reportAllowed=true in the chart).`;

export function observeCommand(): Command {
  return addClusterAccess(new Command("observe"))
    .summary("verdicts of a pod, as they are passed")
    .description("Shows how the packets of a pod are judged, with process, peer, reason and profile.")
    .argument("<pod>", "name of the pod")
    .option("--since <time>", "begin so far back, e.g. 10m", "1s")
    .option("--no-follow", "end with what there is")
    .addOption(new Option("-o, --output <format>", "format of the events").choices(["text", "json"]).default("text"))
    .addHelpText("after", NOTE)
    .action((pod: string, options: ObserveOptions) => observe(pod, options));
}

async function observe(name: string, options: ObserveOptions): Promise<void> {
  const kubectl = new Kubectl(options);
  const pod = scheduledPod(kubectl, name, options.namespace);
  const agent = agentOn(kubectl, pod.node, options.systemNamespace);
  const logs = kubectl.follow(
    "logs",
    `--namespace=${options.systemNamespace}`,
    agent.metadata.name,
    "--container=agent",
    `--since=${options.since}`,
    `--follow=${options.follow}`,
  );
  const ended = new Promise<number>((settle) => logs.on("close", (code) => settle(code ?? 1)));
  if (logs.stdout !== null) {
    for await (const line of createInterface({ input: logs.stdout })) {
      const event = eventOf(line, pod.metadata.namespace ?? "default", name);
      if (event !== null) process.stdout.write(`${shown(event, options.output)}\n`);
    }
  }
  process.exitCode = await ended;
}

/** The event of a line if it is about this pod; the agent's own words, and other pods', are null. */
export function eventOf(line: string, namespace: string, name: string): AgentEvent | null {
  if (!line.startsWith("{")) return null;
  let event: AgentEvent;
  try {
    event = JSON.parse(line) as AgentEvent;
  } catch {
    // Lines are cut where the log was rotated.
    return null;
  }
  if (!("workload" in event) || typeof event.workload !== "object") return null;
  return event.workload.namespace === namespace && event.workload.name === name ? event : null;
}

function shown(event: AgentEvent, format: ObserveOptions["output"]): string {
  return format === "json" ? JSON.stringify(event) : eventText(event, wantsColours(process.stdout));
}
