/** What a packet of an open flow costs: small UDP and TCP packets there and back, and bulk TCP. */
import { Bed } from "./bed/bed.ts";
import { prefixProfiles } from "./bed/profiles.ts";
import type { Lane } from "./bed/traffic.ts";
import type { BenchContext, Benchmark } from "./context.ts";
import type { Result, Target } from "./report/table.ts";
import { interleave, type Variant } from "./rounds.ts";
import { compare } from "./statistics.ts";

const PREFIXES = 10;
const TRIPS = 1000;
const BULK_MEBIBYTES = 32;
const OURS = "Portcullis";

type Measure = (lane: Lane) => Promise<number>;

export const established: Benchmark = {
  name: "established",
  summary: "packets of open UDP and TCP flows, and bulk TCP",
  async run(context) {
    using bed = await Bed.open({
      bare: ["bare"],
      noop: ["noop"],
      ours: { ours: (workload) => prefixProfiles(workload, PREFIXES) },
      nftables: { nft: PREFIXES },
    });
    const { traffic } = bed;
    const udp = await measure(bed, context, (lane) => traffic.udp(lane, TRIPS));
    const tcp = await measure(bed, context, (lane) => traffic.tcp(lane, TRIPS));
    const work = await measure(bed, context, (lane) => traffic.bulk(lane, BULK_MEBIBYTES, 1));
    const bulk = await measure(bed, context, (lane) => traffic.bulk(lane, BULK_MEBIBYTES, 2));
    const base = { baseline: "bare", notes: [] };
    return [
      { ...base, title: "UDP, open flow", unit: "ns CPU per packet", rows: udp, targets: packetTargets(udp) },
      { ...base, title: "TCP, small segments", unit: "ns CPU per segment", rows: tcp, targets: packetTargets(tcp) },
      { ...base, title: "TCP, bulk, on one CPU", unit: "ns CPU per MiB", rows: work, targets: [] },
      {
        ...base,
        title: "TCP, bulk, from one CPU to another",
        unit: "ns per MiB",
        rows: bulk,
        targets: bulkTargets(bulk),
      },
    ];
  },
};

async function measure(bed: Bed, { seconds }: BenchContext, one: Measure): Promise<Result["rows"]> {
  const variant = (name: string, lane: string, hooks: boolean): Variant => ({
    name,
    hooks,
    measure: async () => [await one(bed.lane(lane))],
  });
  const variants = [
    variant("bare", "bare", false),
    variant("no-op program", "noop", false),
    variant(OURS, "ours", true),
    variant(`${OURS}, without its socket hooks`, "ours", false),
    variant("bare, with its socket hooks", "bare", true),
    variant("nftables", "nft", false),
  ];
  return compare(await interleave(variants, { seconds, hooks: bed.hooks }), "bare");
}

function packetTargets(rows: Result["rows"]): Target[] {
  const ours = rows.filter(({ name }) => name === OURS);
  return ours.flatMap(({ ratio, over }) => [
    { text: "at most 1.05x bare", measured: `${ratio.toFixed(3)}x`, met: ratio <= 1.05 },
    { text: "at most 120 ns more than bare", measured: `${over.toFixed(0)} ns`, met: over <= 120 },
  ]);
}

function bulkTargets(rows: Result["rows"]): Target[] {
  const ours = rows.filter(({ name }) => name === OURS);
  return ours.map(({ ratio }) => ({
    text: "at least 97 % of bare throughput",
    measured: `${(100 / ratio).toFixed(1)} %`,
    met: 100 / ratio >= 97,
  }));
}
