/** Whether what a packet costs depends on how many rules there are: prefixes, ports and names. */
import { Bed, type ProfilesOf } from "./bed/bed.ts";
import { nameProfiles, portProfiles, prefixProfiles } from "./bed/profiles.ts";
import type { Lane } from "./bed/traffic.ts";
import type { BenchContext, Benchmark } from "./context.ts";
import type { Result, Target } from "./report/table.ts";
import { interleave } from "./rounds.ts";
import { type Comparison, compare } from "./statistics.ts";

const COUNTS = [10, 1000, 50_000];
const LIMIT = 1.1;
const TRIPS = 1000;
const PACKETS = 1000;
/** Destinations of a busy workload: the part of the rules that matters to it stays in the CPU's caches. */
const SOME = 1000;
const QUESTIONS = 100;
const DOMAIN = "bench.test";

export const ruleCounts: Benchmark = {
  name: "rule-counts",
  summary: "10, 1,000 and 50,000 prefixes, ports and names",
  async run(context) {
    return [...(await prefixes(context)), ...(await ports(context)), ...(await names(context))];
  },
};

async function prefixes(context: BenchContext): Promise<Result[]> {
  const nftables = Object.fromEntries(COUNTS.map((count) => [`nft${count}`, count]));
  using bed = await open((count, workload) => prefixProfiles(workload, count), nftables);
  return [
    await measure(context, bed, "prefixes, open flow", "ns CPU per packet", async (lane) => [
      await bed.traffic.udp(lane, TRIPS),
    ]),
    await measure(context, bed, `prefixes, first packets to ${SOME} addresses`, "ns CPU per packet", async (lane) => [
      await bed.traffic.first(lane, PACKETS, SOME),
    ]),
    await measure(context, bed, "prefixes, first packets to 5 million addresses", "ns CPU per packet", async (lane) => [
      await bed.traffic.first(lane, PACKETS),
    ]),
    await measureFiltered(context, bed),
  ];
}

async function ports(context: BenchContext): Promise<Result[]> {
  using bed = await open((count, workload) => portProfiles(workload, count));
  return [
    await measure(context, bed, "ports, open flow", "ns CPU per packet", async (lane) => [
      await bed.traffic.udp(lane, TRIPS),
    ]),
    await measure(context, bed, "ports, first packets", "ns CPU per packet", async (lane) => [
      await bed.traffic.first(lane, PACKETS),
    ]),
  ];
}

async function names(context: BenchContext): Promise<Result[]> {
  using bed = await open((count, workload) => nameProfiles(workload, count));
  await bed.traffic.serveDns(bed.site.peer);
  return [
    await measure(context, bed, "names, questions", "ns there and back", (lane) =>
      bed.traffic.dns(lane, QUESTIONS, DOMAIN, false),
    ),
  ];
}

function open(profiles: (count: number, workload: string) => object[], nftables = {}): Promise<Bed> {
  const ours = COUNTS.map((count): [string, ProfilesOf] => [`n${count}`, (workload) => profiles(count, workload)]);
  return Bed.open({ bare: [], ours: Object.fromEntries(ours), nftables });
}

async function measure(
  { seconds }: BenchContext,
  bed: Bed,
  title: string,
  unit: string,
  one: (lane: Lane) => Promise<number[]>,
): Promise<Result> {
  const variants = COUNTS.map((count) => ({
    name: String(count),
    hooks: true,
    measure: () => one(bed.lane(`n${count}`)),
  }));
  const rows = compare(await interleave(variants, { seconds, hooks: bed.hooks }), String(COUNTS[0]));
  return { title: `Rules: ${title}`, unit, baseline: `${COUNTS[0]} rules`, rows, targets: growth(rows), notes: [] };
}

/** The same in nftables, to see what it is like elsewhere. */
async function measureFiltered({ seconds }: BenchContext, bed: Bed): Promise<Result> {
  const variants = COUNTS.map((count) => ({
    name: `nftables, ${count}`,
    hooks: false,
    measure: async () => [await bed.traffic.first(bed.lane(`nft${count}`), PACKETS)],
  }));
  const rows = compare(await interleave(variants, { seconds, hooks: bed.hooks }), `nftables, ${COUNTS[0]}`);
  const title = "Rules: prefixes in nftables, first packets to 5 million addresses";
  return { title, unit: "ns CPU per packet", baseline: `${COUNTS[0]} rules`, rows, targets: [], notes: [] };
}

function growth(rows: Comparison[]): Target[] {
  const last = rows.at(-1);
  if (last === undefined) return [];
  const text = `${last.name} rules within 10 % of ${rows[0]?.name}`;
  return [{ text, measured: `${last.ratio.toFixed(3)}x`, met: last.ratio <= LIMIT }];
}
