/**
 * What a packet of an open flow costs beside a neighbour that floods what the node remembers, against the same workload while the
 * neighbour is stopped; and whether any of its packets was refused.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { inspectNode } from "../src/node-agent/enforce/inspect.ts";
import { buildTool } from "../test/tools/build.ts";
import { PIN_ROOT, STATE } from "./bed/agent-process.ts";
import { Bed } from "./bed/bed.ts";
import { enterCommand, PEER_ADDRESS } from "./bed/network.ts";
import { neighbourProfiles, prefixProfiles } from "./bed/profiles.ts";
import type { Benchmark } from "./context.ts";
import { BenchError } from "./errors.ts";
import { makeFolder } from "./files.ts";
import type { Target } from "./report/table.ts";
import { interleave, type Variant } from "./rounds.ts";
import { compare } from "./statistics.ts";

const PREFIXES = 10;
const TRIPS = 500;
/** How long a flood goes on before what is beside it is measured. */
const WARM_UP_MS = 50;
const MOST = 1.1;
const ALONE = "alone";

/** Verbs of the test client (test/tools/client/flood.c), and whether a copy of it runs them that the profile lists. */
interface FloodKind {
  name: string;
  listed: boolean;
  verbs: string;
}

function floodKinds(folder: string): FloodKind[] {
  return [
    { name: "1 million flows", listed: true, verbs: "udp4 scatter 1000000 10.129.0.1" },
    { name: "100,000 names", listed: true, verbs: `udp4 connect ${PEER_ADDRESS} 53 names 100000 bench.test` },
    { name: "executions, one after the other", listed: true, verbs: "spawn 1000000" },
    { name: "20,000 paths", listed: false, verbs: `links 20000 ${folder} ${PEER_ADDRESS}` },
    { name: "refused fragments", listed: false, verbs: `raw4 255 firstparts 10000000 ${PEER_ADDRESS}` },
  ];
}

/** A flood that goes on while it is wanted, and begins anew when it has come to its end. */
class Flood implements Disposable {
  readonly #start: () => ChildProcess;
  #child: ChildProcess | null = null;

  constructor(namespace: string, program: string, verbs: string) {
    const [enter = "", ...args] = enterCommand(namespace);
    // A process group of its own: what it starts stops, and goes on, with it.
    this.#start = () => spawn(enter, [...args, program, ...verbs.split(" ")], { stdio: "ignore", detached: true });
  }

  set(on: boolean): void {
    if (on && (this.#child === null || this.#child.exitCode !== null)) this.#child = this.#start();
    else this.#signal(on ? "SIGCONT" : "SIGSTOP");
  }

  [Symbol.dispose](): void {
    this.#signal("SIGKILL");
  }

  #signal(name: NodeJS.Signals): void {
    const { pid, exitCode } = this.#child ?? {};
    if (pid !== undefined && exitCode === null) process.kill(-pid, name);
  }
}

export const neighbour: Benchmark = {
  name: "neighbour",
  summary: "open flows beside a neighbour that floods flows, names, executions, paths and fragments",
  async run({ seconds }) {
    const folder = makeFolder();
    const [listed, stranger] = [join(folder, "listed"), join(folder, "stranger")];
    for (const copy of [listed, stranger]) copyFileSync(buildTool("client"), copy);
    using bed = await Bed.open({
      bare: [],
      ours: {
        quiet: (workload) => prefixProfiles(workload, PREFIXES),
        loud: (workload) => neighbourProfiles(workload, listed),
      },
    });
    await bed.traffic.serveDns(bed.site.peer);
    const loud = bed.namespace("loud");
    using owned = new DisposableStack();
    const variants = floodKinds(folder).map(({ name, listed: isListed, verbs }) =>
      variant(bed, name, owned.use(new Flood(loud, isListed ? listed : stranger, verbs))),
    );
    const series = await interleave([variant(bed, ALONE, null), ...variants], { seconds, hooks: bed.hooks });
    const rows = compare(series, ALONE);
    const goals = [...rows.filter(({ name }) => name !== ALONE).map(costTarget), refusedTarget(bed.namespace("quiet"))];
    const title = "UDP, open flow beside a neighbour";
    const notes = ["The flood goes on while the flow beside it is measured, on the other CPU where there is one."];
    return [{ title, unit: "ns CPU per packet", baseline: ALONE, rows, targets: goals, notes }];
  },
};

function variant(bed: Bed, name: string, flood: Flood | null): Variant {
  return {
    name,
    hooks: true,
    measure: async () => {
      flood?.set(true);
      if (flood !== null) await pause(WARM_UP_MS);
      const taken = await bed.traffic.udp(bed.lane("quiet"), TRIPS);
      flood?.set(false);
      return [taken];
    },
  };
}

function costTarget({ name, ratio }: { name: string; ratio: number }): Target {
  return { text: `beside ${name}: at most 1.10x alone`, measured: `${ratio.toFixed(3)}x`, met: ratio <= MOST };
}

function refusedTarget(namespace: string): Target {
  const workload = inspectNode(PIN_ROOT, STATE).workloads.find(({ name }) => name === namespace);
  if (workload === undefined) throw new BenchError(`${namespace} is not guarded any more`);
  const refused = workload.traffic
    .filter(({ verdict }) => verdict !== "allowed")
    .reduce((sum, { packets }) => sum + packets, 0);
  return { text: "beside all of them: no packet refused", measured: `${refused}`, met: refused === 0 };
}
