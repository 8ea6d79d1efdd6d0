/** The kernel's maps as this room uses them. `BpfMap` is one such; tests have one in memory. */
import type {
  AddressKey,
  Binary,
  BinaryKey,
  Condition,
  ConditionKey,
  Container,
  NameKey,
  NameRule,
  PathText,
  Peer4Key,
  Peer6Key,
  PortKey,
  Ruleset,
  Workload,
} from "../../../gen/abi.gen.ts";

export interface RuleMap<K, V> {
  readonly name: string;
  readonly maxEntries: number;
  /** Undefined if there is no such key. */
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  /** Only creates: false if the key is there already. */
  add(key: K, value: V): boolean;
  /** False if there was no such key. */
  delete(key: K): boolean;
  setAll(entries: Iterable<readonly [K, V]>): void;
  deleteAll(keys: Iterable<K>): void;
  entries(): Iterable<[K, V]>;
}

/** What tells one rule table from another, in the kernel. */
export interface RuleMaps {
  rulesets: RuleMap<number, Ruleset>;
  peers4: RuleMap<Peer4Key, bigint>;
  peers6: RuleMap<Peer6Key, bigint>;
  ports: RuleMap<PortKey, bigint>;
  names: RuleMap<NameKey, NameRule>;
  conditions: RuleMap<ConditionKey, Condition>;
  binaries: RuleMap<BinaryKey, Binary>;
}

export interface PathMaps {
  paths: RuleMap<PathText, number>;
  /** For the numbers that the kernel has given out. */
  pathTexts: RuleMap<number, PathText>;
}

/** Which policy is in force where. */
export interface WorkloadMaps {
  workloads: RuleMap<number, Workload>;
  interfaces: RuleMap<number, number>;
  interfacesHigh: RuleMap<number, number>;
  namespaces: RuleMap<number, number>;
  addresses: RuleMap<AddressKey, number>;
  containers: RuleMap<bigint, Container>;
}
