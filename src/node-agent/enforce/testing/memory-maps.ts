/** The kernel's maps in memory, with its rules: sizes that are kept, arrays whose elements are always there. For tests. */

import {
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
import { ERRNO, KernelError } from "../../ffi/errno.ts";
import { type Codec, u8, u32, u64 } from "../../kernel/codec.ts";
import type { PathMaps, RuleMap, RuleMaps, WorkloadMaps } from "../tables/rule-maps.ts";

export class MemoryMap<K, V> implements RuleMap<K, V> {
  readonly name: string;
  maxEntries: number;
  /** Called before each write; a test makes it throw. */
  beforeWrite: () => void = () => {};
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;
  readonly #array: boolean;
  readonly #elements = new Map<string, Buffer>();

  constructor(name: string, key: Codec<K>, value: Codec<V>, maxEntries: number, array = false) {
    this.name = name;
    this.#key = key;
    this.#value = value;
    this.maxEntries = maxEntries;
    this.#array = array;
  }

  get size(): number {
    return this.#elements.size;
  }

  get(key: K): V | undefined {
    const bytes = this.#elements.get(this.#text(key));
    if (bytes !== undefined) return this.#value.decode(bytes);
    return this.#array ? this.#value.decode(Buffer.alloc(this.#value.SIZE)) : undefined;
  }

  set(key: K, value: V): void {
    this.beforeWrite();
    const text = this.#text(key);
    if (!this.#elements.has(text) && this.size >= this.maxEntries) {
      throw new KernelError({ operation: "write to", object: `map ${this.name}`, errno: ERRNO.E2BIG });
    }
    this.#elements.set(text, this.#value.encode(value));
  }

  add(key: K, value: V): boolean {
    if (this.#elements.has(this.#text(key))) return false;
    this.set(key, value);
    return true;
  }

  delete(key: K): boolean {
    return this.#elements.delete(this.#text(key));
  }

  setAll(entries: Iterable<readonly [K, V]>): void {
    for (const [key, value] of entries) this.set(key, value);
  }

  deleteAll(keys: Iterable<K>): void {
    for (const key of keys) this.delete(key);
  }

  *entries(): Generator<[K, V]> {
    for (const [text, value] of this.#elements) {
      yield [this.#key.decode(Buffer.from(text, "hex")), this.#value.decode(value)];
    }
  }

  #text(key: K): string {
    return this.#key.encode(key).toString("hex");
  }
}

/** All of them, as small as tests like. */
export function memoryMaps() {
  return {
    rulesets: new MemoryMap("rulesets", u32, Ruleset, 100),
    peers4: new MemoryMap("peers4", Peer4Key, u64, 100),
    peers6: new MemoryMap("peers6", Peer6Key, u64, 100),
    ports: new MemoryMap("ports", PortKey, u64, 100),
    names: new MemoryMap("names", NameKey, NameRule, 100),
    conditions: new MemoryMap("conditions", ConditionKey, Condition, 100),
    binaries: new MemoryMap("binaries", BinaryKey, Binary, 100),
    paths: new MemoryMap("paths", PathText, u32, 100),
    pathTexts: new MemoryMap("path_texts", u32, PathText, 100),
    workloads: new MemoryMap("workloads", u32, Workload, 16, true),
    interfaces: new MemoryMap("interfaces", u32, u32, 65536, true),
    interfacesHigh: new MemoryMap("interfaces_high", u32, u32, 100),
    namespaces: new MemoryMap("namespaces", u32, u32, 100),
    addresses: new MemoryMap("addresses", AddressKey, u8, 100),
    containers: new MemoryMap("containers", u64, Container, 100),
  } satisfies RuleMaps & PathMaps & WorkloadMaps;
}
