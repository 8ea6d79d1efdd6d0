/** Every map of bpf/include/memory/maps.h, pinned under a root by its name, with the types of its keys and values. */
import { join } from "node:path";
import {
  Actor,
  AddressKey,
  Ancestry,
  Binary,
  BinaryKey,
  Claim,
  ClaimKey,
  Condition,
  ConditionKey,
  Connect,
  Container,
  Counter,
  CounterKey,
  DeviceKey,
  DNS_MESSAGE_MAX,
  DnsName,
  DnsNameKey,
  DnsQuery,
  DnsQueryKey,
  ErrorSite,
  Flow,
  FlowKey,
  Fragment,
  FragmentKey,
  Gate,
  Gated,
  IcmpRequestKey,
  KnownAncestry,
  LastListenerKey,
  Learned,
  LearnedKey,
  Limit,
  LimitKey,
  NamedPath,
  NameKey,
  NameRule,
  PathText,
  Peer4Key,
  Peer6Key,
  Place,
  PlaceKey,
  PortKey,
  Process,
  RegisteredSocket,
  Registration,
  RegistrationKey,
  Ruleset,
  Settings,
  Share,
  ShareKey,
  SocketOwner,
  StreamLock,
  VethEnd,
  Workload,
} from "../../gen/abi.gen.ts";
import type { Codec } from "./codec.ts";
import { bytes, s32, u8, u32, u64 } from "./codec.ts";
import { BpfMap, perCpu } from "./maps.ts";

/** What is in a map. */
interface MapType<K, V> {
  key: Codec<K>;
  value: Codec<V>;
}

function of<K, V>(key: Codec<K>, value: Codec<V>): MapType<K, V> {
  return { key, value };
}

const counterSum = perCpu(Counter, (sum, value) => ({
  packets: sum.packets + value.packets,
  bytes: sum.bytes + value.bytes,
}));
const u64Sum = perCpu(u64, (sum, value) => sum + value);

/** By property name; the pin is the name in the kernel, `interfaces_high` for `interfacesHigh`. */
const TYPES = {
  settings: of(u32, Settings),
  processEpochs: of(u32, u64),
  namespaceEpochs: of(u32, u64),
  workloads: of(u32, Workload),
  interfaces: of(u32, u32),
  interfacesHigh: of(u32, u32),
  namespaces: of(u32, u32),
  addresses: of(AddressKey, u8),
  devices: of(DeviceKey, VethEnd),
  deviceChanges: of(u32, u64),
  gate: of(u32, Gate),
  admitted: of(u32, u64),
  gated: of(u32, Gated),
  binaries: of(BinaryKey, Binary),
  rulesets: of(u32, Ruleset),
  peers4: of(Peer4Key, u64),
  peers6: of(Peer6Key, u64),
  ports: of(PortKey, u64),
  names: of(NameKey, NameRule),
  conditions: of(ConditionKey, Condition),
  paths: of(PathText, u32),
  pathTexts: of(u32, NamedPath),
  pathSequence: of(u32, u64),
  ancestries: of(Ancestry, u32),
  ancestrySets: of(u32, KnownAncestry),
  ancestrySequence: of(u32, u64),
  claims: of(ClaimKey, Claim),
  processes: of(u32, Process),
  containers: of(u64, Container),
  /** Key: file descriptor of a socket in this process. */
  socketOwners: of(s32, SocketOwner),
  registrations: of(RegistrationKey, Registration),
  registered: of(u64, RegisteredSocket),
  connects: of(u64, Connect),
  shares: of(ShareKey, Share),
  places: of(PlaceKey, Place),
  lastListeners: of(LastListenerKey, Actor),
  flows: of(FlowKey, Flow),
  fragments: of(FragmentKey, Fragment),
  icmpRequests: of(IcmpRequestKey, u64),
  dnsQueries: of(DnsQueryKey, DnsQuery),
  /** What has come of a message that segments cut; user space only counts the entries. */
  dnsNames: of(DnsNameKey, DnsName),
  learned: of(LearnedKey, Learned),
  /** Keys are those of flows, with the direction in their padding. */
  dnsParts: of(bytes(FlowKey.SIZE), bytes(2 * DNS_MESSAGE_MAX + 12)),
  streamLocks: of(u32, StreamLock),
  /** Values are the sums over all CPUs. */
  counters: of(CounterKey, counterSum),
  /** Key: `ErrorKind`. Values are the sums over all CPUs. */
  errors: of(u32, u64Sum),
  /** The same by line. */
  errorSites: of(ErrorSite, u64Sum),
  limits: of(LimitKey, Limit),
} as const;

type Types = typeof TYPES;
type OpenMap<T> = T extends MapType<infer K, infer V> ? BpfMap<K, V> : never;

/** All maps, open. */
export type Maps = { readonly [Name in keyof Types]: OpenMap<Types[Name]> } & Disposable;
export type MapName = keyof Types;

/** Name in the kernel, and of the pin: `interfaces_high` for `interfacesHigh`. */
export function pinName(name: MapName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Property names of all maps. */
export const MAP_NAMES = Object.keys(TYPES) as MapName[];

/**
 * Opens all maps under a pin root. The objects that declare them must have been loaded with it before.
 *
 * @throws KernelError ENOENT if a pin is missing; LayoutError if it is from another version
 */
export function openMaps(pinRoot: string): Maps {
  const open: Partial<Record<MapName, BpfMap<unknown, unknown>>> = {};
  const close = (): void => {
    for (const map of Object.values(open)) map.close();
  };
  try {
    for (const name of MAP_NAMES) open[name] = openOne(pinRoot, name);
  } catch (error) {
    close();
    throw error;
  }
  return Object.assign(open, { [Symbol.dispose]: close }) as unknown as Maps;
}

/** Opens one of the maps. */
export function openMap<Name extends MapName>(pinRoot: string, name: Name): OpenMap<Types[Name]> {
  return openOne(pinRoot, name) as unknown as OpenMap<Types[Name]>;
}

function openOne(pinRoot: string, name: MapName): BpfMap<unknown, unknown> {
  const { key, value } = TYPES[name] as unknown as MapType<unknown, unknown>;
  return BpfMap.open(join(pinRoot, pinName(name)), key, value);
}
