/** What a program under test has left in the kernel and in the file system. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { runIn } from "./topology.ts";

/** Ids of everything that is pinned below a folder. */
export interface PinnedIds {
  map: number[];
  prog: number[];
  link: number[];
}

const KINDS = ["map", "prog", "link"] as const;

/** The objects behind the pins. */
export function pinnedIds(pinRoot: string): PinnedIds {
  const isBelow = ({ pinned = [] }: Listed) => pinned.some((path) => path.startsWith(`${pinRoot}/`));
  return byKind((kind) =>
    list(kind, "-f")
      .filter(isBelow)
      .map(({ id }) => id),
  );
}

/** Those that are still in the kernel. */
export function living(ids: PinnedIds): PinnedIds {
  return byKind((kind) => {
    const alive = new Set(list(kind).map(({ id }) => id));
    return ids[kind].filter((id) => alive.has(id));
  });
}

interface Listed {
  id: number;
  /** Paths, if they were asked for. */
  pinned?: string[];
}

/** All of a kind in one go: to ask for each takes long on slow machines. */
function list(kind: (typeof KINDS)[number], ...options: string[]): Listed[] {
  return JSON.parse(execFileSync("bpftool", ["-j", ...options, kind, "show"], { encoding: "utf8" })) as Listed[];
}

function byKind(find: (kind: (typeof KINDS)[number]) => number[]): PinnedIds {
  const [map, prog, link] = KINDS.map(find) as [number[], number[], number[]];
  return { map, prog, link };
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
