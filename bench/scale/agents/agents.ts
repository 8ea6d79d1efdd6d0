/** A process of many agents, started by agent-fleet.ts. */
import { createLogger } from "../../../src/telemetry/logger.ts";
import { type AgentCommand, type AgentNews, moment } from "./agent-messages.ts";
import { SimulatedAgent } from "./simulated-agent.ts";

const log = createLogger({ level: "warn" });
const LATE_MS = 20_000;
const agents = new Map<string, SimulatedAgent>();
/** Pods whose tables are to change: node -> uid and the table that they have. */
const expected = new Map<string, { uid: string; tableHash: string }>();
let moments: number[] = [];
let expectsAll = false;

function tell(news: AgentNews): void {
  process.send?.(news);
}

function obey(command: AgentCommand): void {
  switch (command.type) {
    case "start":
      for (const { node, tokenFile } of command.agents) {
        const { target, authority } = command;
        agents.set(node, new SimulatedAgent({ node, target, authority, tokenFile, log, onTaken }));
      }
      return;
    case "expect":
      expect(command.pods);
      return;
    case "expectAll":
      for (const agent of agents.values()) agent.forgetConnection();
      expectsAll = true;
      tell({ type: "expecting" });
      return;
    case "traffic":
      for (const agent of agents.values()) agent.isBusy = command.on;
      return;
  }
}

function expect(pods: [node: string, uid: string][]): void {
  moments = [];
  expected.clear();
  for (const [node, uid] of pods) {
    if (agents.has(node)) expected.set(node, { uid, tableHash: tableOf(node, uid) });
  }
  tell({ type: "expecting" });
  if (expected.size === 0) tell({ type: "changed", moments });
}

function tableOf(node: string, uid: string): string {
  return agents.get(node)?.held.bindings.get(uid)?.tableHash ?? "";
}

function onTaken({ node }: SimulatedAgent): void {
  const now = moment();
  const pod = expected.get(node);
  if (pod !== undefined && tableOf(node, pod.uid) !== pod.tableHash) {
    expected.delete(node);
    moments.push(now);
    if (expected.size === 0) tell({ type: "changed", moments });
  }
  if (!expectsAll) return;
  const all = [...agents.values()];
  if (!all.every(({ connected, taken }) => connected > 0 && taken > 0)) return;
  expectsAll = false;
  const each = (field: "lost" | "connected" | "taken") => all.map((agent) => agent[field]);
  tell({ type: "all", lost: each("lost"), connected: each("connected"), taken: each("taken") });
}

/** Tells in the log who is waited for, should it take long. */
function tellLate(): void {
  const late = [...agents.values()].filter(({ taken }) => taken === 0);
  const [first] = late;
  if (!expectsAll || first === undefined) return;
  log.warn({ late: late.length, node: first.node, isConnected: first.isConnected }, "agents are waited for");
}

setInterval(tellLate, LATE_MS).unref();
process.on("message", obey);
process.on("disconnect", () => process.exit(0));
