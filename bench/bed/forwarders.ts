/** DNS proxies that enforce the same rule (only names below one domain), on a node between workload and resolver. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../files.ts";
import { enterCommand, PEER_ADDRESS } from "./network.ts";

export const FORWARDERS = ["dnsmasq", "dnsdist"] as const;
export type Forwarder = (typeof FORWARDERS)[number];

/** As real-time as the traffic program, and on its CPU: else a comparison would be one of priorities. */
const SCHEDULE = ["chrt", "--fifo", "10", "taskset", "--cpu-list", "0"];

export function isInstalled(name: Forwarder): boolean {
  try {
    execFileSync("which", [name], { stdio: "ignore" });
    return true;
  } catch {
    return false; // `which` says so by its exit status
  }
}

/** Starts one in the node's namespace, on port 53, without a cache. */
export function startForwarder(name: Forwarder, node: string, domain: string): Disposable {
  const folder = makeFolder();
  const command = name === "dnsmasq" ? dnsmasq(domain) : dnsdist(domain, folder);
  const [program = "", ...args] = [...enterCommand(node), ...SCHEDULE, ...command];
  const child: ChildProcess = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  return {
    [Symbol.dispose]: () => {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function dnsmasq(domain: string): string[] {
  const files = ["--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--pid-file"];
  return [
    "dnsmasq",
    "--keep-in-foreground",
    ...files,
    "--user=root",
    "--cache-size=0",
    `--server=/${domain}/${PEER_ADDRESS}`,
  ];
}

function dnsdist(domain: string, folder: string): string[] {
  const file = join(folder, "dnsdist.conf");
  const lines = [
    'setLocal("0.0.0.0:53")',
    'setACL("0.0.0.0/0")',
    `newServer({address="${PEER_ADDRESS}", healthCheckMode="up"})`,
    `addAction(NotRule(makeRule("${domain}.")), DropAction())`,
    'setSecurityPollSuffix("")',
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return ["dnsdist", "--supervised", "--disable-syslog", "--config", file];
}
