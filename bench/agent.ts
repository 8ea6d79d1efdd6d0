/** What the agent itself takes: memory and processor time, with nothing to do and with many events to report. */
import { setTimeout as pause } from "node:timers/promises";
import { RECORD_RINGS } from "../src/node-agent/events/kernel-records.ts";
import { openMap } from "../src/node-agent/kernel/typed-maps.ts";
import { PIN_ROOT, type Usage } from "./bed/agent-process.ts";
import { Bed } from "./bed/bed.ts";
import { prefixProfiles } from "./bed/profiles.ts";
import type { Benchmark } from "./context.ts";
import type { Result } from "./report/table.ts";

const EVENTS_PER_SECOND = 100_000;
const WORKLOADS = 30;
const MEMORY_LIMIT_MIB = 120;
const MEBIBYTE = 1024 * 1024;
/** What the kernel has handed over may still be on its way through the agent. */
const SETTLE_MS = 1000;

interface Load {
  name: string;
  /** MiB at its end. */
  resident: number;
  /** Percent of one CPU. */
  processor: number;
  events: number;
  lost: number;
}

export const agent: Benchmark = {
  name: "agent",
  summary: `the agent's memory and CPU, idle and at ${EVENTS_PER_SECOND} events a second`,
  async run({ seconds }) {
    const names = Array.from({ length: WORKLOADS }, (_, n) => `w${n}`);
    using bed = await Bed.open({
      bare: [],
      ours: Object.fromEntries(names.map((name, n) => [name, (label: string) => prefixProfiles(label, 10 + n)])),
    });
    bed.hooks.set(true);
    await pause(SETTLE_MS);
    const idle = await observe(bed, "idle", () => pause(seconds * 1000));
    let rate = 0;
    const busy = await observe(bed, "events", async () => {
      rate = await bed.traffic.flood(bed.lane("w0"), seconds * EVENTS_PER_SECOND, EVENTS_PER_SECOND);
      await pause(SETTLE_MS);
    });
    return [resultOf([idle, { ...busy, name: `${Math.round(rate)} events/s` }])];
  },
};

async function observe({ agent }: Bed, name: string, work: () => Promise<unknown>): Promise<Load> {
  const [usage, lost, lines, start] = [agent.usage(), lostEvents(), agent.lines, performance.now()];
  await work();
  const seconds = (performance.now() - start) / 1000;
  const after: Usage = agent.usage();
  const events = agent.lines - lines;
  return {
    name,
    resident: after.resident / MEBIBYTE,
    processor: (100 * (after.processor - usage.processor)) / seconds,
    events,
    lost: lostEvents() - lost,
  };
}

function lostEvents(): number {
  using errors = openMap(PIN_ROOT, "errors");
  return RECORD_RINGS.reduce((sum, { lost }) => sum + Number(errors.get(lost) ?? 0n), 0);
}

function resultOf(loads: Load[]): Result {
  const most = Math.max(...loads.map(({ resident }) => resident));
  return {
    title: `Agent, ${WORKLOADS} workloads with 10 to 40 prefixes each`,
    unit: "",
    baseline: "",
    columns: ["load", "resident MiB", "% of a CPU", "events printed", "events lost in the kernel"],
    cells: loads.map(({ name, resident, processor, events, lost }) => [
      name,
      resident.toFixed(0),
      processor.toFixed(1),
      String(events),
      String(lost),
    ]),
    rows: [],
    targets: [
      {
        text: `at most ${MEMORY_LIMIT_MIB} MiB resident`,
        measured: `${most.toFixed(0)} MiB`,
        met: most <= MEMORY_LIMIT_MIB,
      },
    ],
    notes: [],
  };
}
