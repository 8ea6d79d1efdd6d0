/** What a packet costs that begins a flow, so that its process and all layers are looked up. */

import { WorkloadFlag } from "../src/gen/abi.gen.ts";
import { openMap } from "../src/node-agent/kernel/typed-maps.ts";
import { PIN_ROOT } from "./bed/agent-process.ts";
import { Bed } from "./bed/bed.ts";
import { prefixProfiles } from "./bed/profiles.ts";
import type { Benchmark } from "./context.ts";
import { interleave, type Variant } from "./rounds.ts";
import { compare } from "./statistics.ts";

const PREFIXES = 10;
const PACKETS = 1000;

export const firstPacket: Benchmark = {
  name: "first-packet",
  summary: "packets that each begin a UDP flow",
  async run({ seconds }) {
    using bed = await Bed.open({
      bare: ["bare"],
      noop: ["noop"],
      ours: { ours: (workload) => prefixProfiles(workload, PREFIXES) },
      nftables: { nft: PREFIXES },
    });
    const variant = (name: string, lane: string, hooks: boolean): Variant => ({
      name,
      hooks,
      measure: async () => [await bed.traffic.first(bed.lane(lane), PACKETS)],
    });
    const silent: Variant = {
      ...variant("Portcullis, --no-allowed", "ours", true),
      measure: async () => {
        reportAllowed(false);
        const samples = [await bed.traffic.first(bed.lane("ours"), PACKETS)];
        reportAllowed(true);
        return samples;
      },
    };
    const variants = [
      variant("bare", "bare", false),
      variant("no-op program", "noop", false),
      variant("Portcullis", "ours", true),
      silent,
      variant("nftables", "nft", false),
    ];
    const rows = compare(await interleave(variants, { seconds, hooks: bed.hooks }), "bare");
    const notes = [
      "Every packet goes to another address, unlike any cache could foresee. Without --no-allowed, each one is an event.",
    ];
    return [
      { title: "UDP, first packet of a flow", unit: "ns CPU per packet", baseline: "bare", rows, targets: [], notes },
    ];
  },
};

function reportAllowed(on: boolean): void {
  using workloads = openMap(PIN_ROOT, "workloads");
  for (const [instance, value] of [...workloads.entries()].filter(([, { id }]) => id !== 0)) {
    const others = value.flags & ~WorkloadFlag.REPORT_ALLOWED;
    workloads.set(instance, { ...value, flags: others | (on ? WorkloadFlag.REPORT_ALLOWED : 0) });
  }
}
