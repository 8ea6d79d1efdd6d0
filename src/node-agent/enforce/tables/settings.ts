/** Settings of the node, as options of the agent and as `struct settings`. */
import { SettingsError } from "../../../api/errors.ts";
import { DNS_PORTS_MAX, type Settings } from "../../../gen/abi.gen.ts";

/** Times in milliseconds. */
/** What the kernel keeps of each flow beside its verdict. */
export interface FlowSettings {
  /** Count packets and bytes, and report them. */
  countFlows: boolean;
  /** And, of TCP connections, what TCP knows of them. */
  readTcp: boolean;
}

export interface NodeSettings extends FlowSettings {
  /** A learned address lives at least this long, whatever its TTL says. */
  fqdnMinTtl: number;
  fqdnMaxTtl: number;
  /** And this long after that. */
  fqdnGrace: number;
  /** Between two events of one kind; those in between are counted. */
  eventInterval: number;
  /** Silence after which a UDP or ICMP flow counts as a new one. */
  udpIdle: number;
  /** What goes to or comes from these ports is DNS. */
  dnsPorts: number[];
  /** Report the first packet of every allowed flow too, of every workload; otherwise of those that somebody observes. */
  reportAllowed: boolean;
}

export const DEFAULT_SETTINGS: NodeSettings = {
  fqdnMinTtl: 60_000,
  fqdnMaxTtl: 3_600_000,
  fqdnGrace: 30_000,
  eventInterval: 1_000,
  udpIdle: 120_000,
  dnsPorts: [53],
  reportAllowed: true,
  countFlows: false,
  readTcp: false,
};

const NS_PER_MS = 1_000_000n;

/**
 * @param hostNetns inode number of the network namespace that the agent works in
 * @throws SettingsError for settings that contradict each other
 */
export function settingsValue(settings: NodeSettings, hostNetns: number): Settings {
  checkSettings(settings);
  const [first = 0, second = 0, third = 0, fourth = 0] = settings.dnsPorts;
  return {
    fqdnMinTtl: BigInt(settings.fqdnMinTtl) * NS_PER_MS,
    fqdnMaxTtl: BigInt(settings.fqdnMaxTtl) * NS_PER_MS,
    fqdnGrace: BigInt(settings.fqdnGrace) * NS_PER_MS,
    eventInterval: BigInt(settings.eventInterval) * NS_PER_MS,
    udpIdle: BigInt(settings.udpIdle) * NS_PER_MS,
    flags: 0,
    dnsPorts: [first, second, third, fourth],
    hostNetns,
  };
}

function checkSettings({ fqdnMinTtl, fqdnMaxTtl, dnsPorts }: NodeSettings): void {
  if (fqdnMinTtl > fqdnMaxTtl) {
    throw new SettingsError(
      `the minimum TTL of resolved names (${fqdnMinTtl} ms) is more than their maximum TTL (${fqdnMaxTtl} ms); lower the minimum`,
    );
  }
  if (dnsPorts.length > DNS_PORTS_MAX) {
    throw new SettingsError(
      `at most ${DNS_PORTS_MAX} ports can be DNS ports, 53 among them, and ${dnsPorts.length} are set; leave some out`,
    );
  }
}
