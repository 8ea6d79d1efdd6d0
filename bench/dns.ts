/** What a DNS question takes, there and back: directly, judged by Portcullis, and through proxies. */
import { setTimeout as pause } from "node:timers/promises";
import { Bed } from "./bed/bed.ts";
import { FORWARDERS, isInstalled, startForwarder } from "./bed/forwarders.ts";
import { Site } from "./bed/network.ts";
import { dnsAlerted, dnsAllowed } from "./bed/profiles.ts";
import type { Benchmark } from "./context.ts";
import type { Target } from "./report/table.ts";
import { interleave, type Variant } from "./rounds.ts";
import { type Comparison, compare } from "./statistics.ts";

const DOMAIN = "bench.test";
const QUESTIONS = 100;
const START_MS = 1500;

export const dns: Benchmark = {
  name: "dns",
  summary: "DNS questions, directly, judged, and through proxies",
  async run({ seconds, say }) {
    using bed = await Bed.open({
      bare: ["bare"],
      noop: ["noop"],
      ours: { allow: dnsAllowed, alert: dnsAlerted, trace: (name) => dnsAllowed(name, ["enforce", "trace-dns"]) },
    });
    using owned = new DisposableStack();
    await bed.traffic.serveDns(bed.site.peer);
    const variant = (name: string, lane: string, hooks: boolean, fresh: boolean): Variant => ({
      name,
      hooks,
      measure: () => bed.traffic.dns(bed.lane(lane), QUESTIONS, DOMAIN, fresh),
    });
    const variants = [
      variant("bare", "bare", false, false),
      variant("no-op program", "noop", false, false),
      variant("bare, with Portcullis's socket hooks", "bare", true, false),
      variant("Portcullis, allowed", "allow", true, false),
      variant("Portcullis, allowed, new names", "allow", true, true),
      variant("Portcullis, alerting", "alert", true, false),
      variant("Portcullis, alerting, new names", "alert", true, true),
      variant("Portcullis, trace-dns", "trace", true, false),
    ];
    for (const name of FORWARDERS) {
      if (!isInstalled(name)) {
        say(`${name} is left out: it is not installed (apt-get install ${name === "dnsmasq" ? "dnsmasq-base" : name})`);
        continue;
      }
      const site = new Site(name);
      const workload = site.addWorkload("w");
      await bed.traffic.serveDns(site.peer);
      owned.use(startForwarder(name, site.node, DOMAIN));
      await bed.addLane(name, workload, site, workload.gateway);
      variants.push(variant(name, name, false, false));
    }
    await pause(START_MS);
    const rows = compare(await interleave(variants, { seconds, hooks: bed.hooks }), "bare");
    const notes = [
      'Client, server and proxies share one CPU, so that nothing of what they cost is hidden. "New names": no name is asked',
      "twice, so that each is learned, or reported, as the first of its kind.",
    ];
    return [{ title: "DNS, there and back", unit: "ns", baseline: "bare", rows, targets: targets(rows), notes }];
  },
};

function targets(rows: readonly Comparison[]): Target[] {
  const limits = { "Portcullis, allowed": 1.15, "Portcullis, alerting": 1.25, "Portcullis, alerting, new names": 1.25 };
  return Object.entries(limits).map(([name, limit]) => {
    const ratio = rows.find((row) => row.name === name)?.ratio ?? Number.NaN;
    return { text: `${name}: at most ${limit}x bare`, measured: `${ratio.toFixed(3)}x`, met: ratio <= limit };
  });
}
