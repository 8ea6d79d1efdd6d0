/** What a packet of an open flow costs: small UDP and TCP packets there and back, and bulk TCP. */
import { AgentProcess, OBJECTS, PIN_ROOT } from "./agent-process.ts";
import type { BenchContext, Benchmark } from "./context.ts";
import { SocketHooks } from "./hooks.ts";
import { PEER_ADDRESS, Site } from "./network.ts";
import { equalRules } from "./nftables.ts";
import { attachNoop } from "./noop.ts";
import { prefixProfiles } from "./profiles.ts";
import { interleave, type Variant } from "./rounds.ts";
import { compare } from "./statistics.ts";
import type { Result, Target } from "./table.ts";
import { type Lane, Traffic } from "./traffic.ts";

const PREFIXES = 10;
const TRIPS = 1000;
const BULK_MEBIBYTES = 32;

type Lanes = Record<"bare" | "noop" | "ours" | "nft", Lane>;

export const established: Benchmark = {
  name: "established",
  summary: "packets of open UDP and TCP flows, and bulk TCP",
  async run(context) {
    const site = new Site("est");
    const filtered = new Site("nft");
    const [bare, noop, ours] = ["bare", "noop", "ours"].map((name) => site.addWorkload(name)) as [W, W, W];
    const nft = filtered.addWorkload("nft");
    equalRules(filtered.node, PREFIXES);
    using _noop = attachNoop(site.node, noop.hostInterface);
    using _agent = await AgentProcess.start({
      node: site.node,
      workloads: { [ours.namespace]: prefixProfiles(ours.namespace, PREFIXES) },
    });
    using hooks = new SocketHooks(PIN_ROOT, OBJECTS);
    using traffic = new Traffic();
    const open = (client: string, { peer }: Site) => traffic.openLane({ client, server: peer, address: PEER_ADDRESS });
    const lanes: Lanes = {
      bare: await open(bare.namespace, site),
      noop: await open(noop.namespace, site),
      ours: await open(ours.namespace, site),
      nft: await open(nft.namespace, filtered),
    };
    return await measureAll(context, traffic, lanes, hooks);
  },
};

type W = ReturnType<Site["addWorkload"]>;

async function measureAll(
  { seconds }: BenchContext,
  traffic: Traffic,
  lanes: Lanes,
  hooks: SocketHooks,
): Promise<Result[]> {
  const series = async (measure: (lane: Lane) => Promise<number>) =>
    compare(await interleave(variantsOf(lanes, measure), { seconds, hooks }), "bare");
  const udp = await series((lane) => traffic.udp(lane, TRIPS));
  const tcp = await series((lane) => traffic.tcp(lane, TRIPS));
  const bulk = await series((lane) => traffic.bulk(lane, BULK_MEBIBYTES));
  const base = { baseline: "bare", notes: [] };
  return [
    { ...base, title: "UDP, established flow", unit: "ns CPU per packet", rows: udp, targets: packetTargets(udp) },
    { ...base, title: "TCP, small segments", unit: "ns CPU per segment", rows: tcp, targets: packetTargets(tcp) },
    { ...base, title: "TCP, bulk", unit: "ns per MiB", rows: bulk, targets: bulkTargets(bulk) },
  ];
}

function variantsOf(lanes: Lanes, measure: (lane: Lane) => Promise<number>): Variant[] {
  const variant = (name: string, lane: Lane, hooks: boolean): Variant => ({
    name,
    hooks,
    measure: async () => [await measure(lane)],
  });
  return [
    variant("bare", lanes.bare, false),
    variant("no-op program", lanes.noop, false),
    variant("Portcullis", lanes.ours, true),
    variant("Portcullis, classifier alone", lanes.ours, false),
    variant("Portcullis, others' traffic", lanes.bare, true),
    variant("nftables", lanes.nft, false),
  ];
}

function packetTargets(rows: Result["rows"]): Target[] {
  const ours = rows.find(({ name }) => name === "Portcullis");
  if (ours === undefined) return [];
  return [
    { text: "at most 1.05x bare", measured: `${ours.ratio.toFixed(3)}x`, met: ours.ratio <= 1.05 },
    { text: "at most 120 ns more", measured: `${ours.over.toFixed(0)} ns`, met: ours.over <= 120 },
  ];
}

function bulkTargets(rows: Result["rows"]): Target[] {
  const ours = rows.find(({ name }) => name === "Portcullis");
  if (ours === undefined) return [];
  const share = 100 / ours.ratio;
  return [{ text: "at least 97 % of bare throughput", measured: `${share.toFixed(1)} %`, met: share >= 97 }];
}
