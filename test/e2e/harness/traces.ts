/** What a program under test has left in the kernel and in the file system. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { runIn } from "./topology.ts";

/** Ids of everything that is pinned below a folder. */
export interface PinnedIds {
  map: number[];
  prog: number[];
  link: number[];
}

/** The objects behind the pins. */
export function pinnedIds(pinRoot: string): PinnedIds {
  const ids: PinnedIds = { map: [], prog: [], link: [] };
  for (const name of readdirSync(pinRoot, { recursive: true, encoding: "utf8" })) {
    for (const kind of ["map", "prog", "link"] as const) {
      const id = idOf(kind, "pinned", join(pinRoot, name));
      if (id !== null) ids[kind].push(id);
    }
  }
  return ids;
}

/** Those that are still in the kernel. */
export function living(ids: PinnedIds): PinnedIds {
  const alive = (kind: keyof PinnedIds) => ids[kind].filter((id) => idOf(kind, "id", String(id)) !== null);
  return { map: alive("map"), prog: alive("prog"), link: alive("link") };
}

function idOf(kind: string, by: "id" | "pinned", value: string): number | null {
  const { stdout, status } = spawnSync("bpftool", ["-j", kind, "show", by, value], { encoding: "utf8" });
  if (status !== 0) return null;
  return (JSON.parse(stdout) as { id?: number }).id ?? null;
}

/** Everything about a namespace that enforcement might change, as text to compare. */
export function networkState(namespace: string): string {
  const links = JSON.parse(execFileSync("ip", ["-n", namespace, "-j", "link"], { encoding: "utf8" })) as {
    ifname: string;
    flags: string[];
    qdisc: string;
  }[];
  const settings = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"].map((key) =>
    runIn(namespace, "cat", `/proc/sys/${key}`),
  );
  return JSON.stringify({
    links: links.map(({ ifname, flags, qdisc }) => ({ ifname, flags, qdisc })),
    rules: runIn(namespace, "nft", "list", "ruleset"),
    filters: links.map(({ ifname }) =>
      ["ingress", "egress"].map((hook) => runIn(namespace, "tc", "filter", "show", "dev", ifname, hook)),
    ),
    programs: attachedPrograms(namespace),
    settings,
  });
}

/** Names of BPF programs on the devices of a namespace, whichever way they are attached. */
export function attachedPrograms(namespace: string): string[] {
  const [net] = JSON.parse(runIn(namespace, "bpftool", "-j", "net")) as [{ tc?: { name: string }[] }];
  return (net.tc ?? []).map(({ name }) => name).sort();
}

export function isThere(path: string): boolean {
  return existsSync(path);
}
