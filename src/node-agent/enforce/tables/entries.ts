/** Rule sets as the entries of the kernel's maps (bpf/include/abi/rules.h). Pure. */
import ipaddr from "ipaddr.js";
import {
  ADDRESS_LENGTH,
  type Condition,
  type ConditionKey,
  ConditionKind,
  HARDWARE_ADDRESS_PREFIX,
  type NameKey,
  type NameRule,
  type Peer4Key,
  type Peer6Key,
  type PortKey,
  type Ruleset,
} from "../../../gen/abi.gen.ts";
import { allBlocks } from "../../../policy/table/lookup.ts";
import type { BlockMask, Ruleset as PolicyRuleset } from "../../../policy/table/tables.ts";

/** All that one rule set puts into the kernel. */
export interface RulesetEntries {
  peers4: [Peer4Key, bigint][];
  peers6: [Peer6Key, bigint][];
  ports: [PortKey, bigint][];
  names: [NameKey, NameRule][];
  conditions: [ConditionKey, Condition][];
  ruleset: Ruleset;
}

/** Bits before the part that the trie matches: `ruleset`, and `ruleset` with 16 bits for names. */
const RULESET_BITS = 32;
const NAME_RULESET_BITS = 16;
const PROTOCOL_BITS = 16;

/** The entries of a rule set under a number. @param pathId the number of a path */
export function rulesetEntries(rules: PolicyRuleset, id: number, pathId: (path: string) => number): RulesetEntries {
  return {
    conditions: conditionEntries(rules, id, pathId),
    peers4: rules.peers4.map(({ address, prefixLength, mask }) => [
      { prefixlen: RULESET_BITS + prefixLength, ruleset: id, address: addressBytes(address) },
      mask,
    ]),
    peers6: rules.peers6.map(({ address, prefixLength, mask }) => [
      { prefixlen: RULESET_BITS + prefixLength, ruleset: id, address: addressBytes(address) },
      mask,
    ]),
    ports: rules.ports.map((rule) => [
      {
        prefixlen: rule.protocol === null ? RULESET_BITS : RULESET_BITS + PROTOCOL_BITS + rule.portPrefix,
        ruleset: id,
        protocol: rule.protocol ?? 0,
        port: networkOrder(rule.port),
      },
      rule.mask,
    ]),
    names: rules.names.map((rule) => [
      { prefixlen: NAME_RULESET_BITS + 8 * rule.text.length, ruleset: id, text: rule.text },
      {
        exactAsk: rule.exactAsk,
        exactConnect: rule.exactConnect,
        belowAsk: rule.belowAsk,
        belowConnect: rule.belowConnect,
        length: rule.text.length,
      },
    ]),
    ruleset: rulesetValue(rules),
  };
}

/** 16 bytes, IPv4 as ::ffff:a.b.c.d. */
export function mappedAddress(text: string): Buffer {
  const address = ipaddr.parse(text);
  const full = address.kind() === "ipv4" ? (address as ipaddr.IPv4).toIPv4MappedAddress() : address;
  return Buffer.from(full.toByteArray());
}

/** An interface's hardware address as `addresses` has it. @param mac text with colons */
export function hardwareAddress(mac: string): Buffer {
  const address = Buffer.alloc(ADDRESS_LENGTH);
  address.writeUInt16BE(HARDWARE_ADDRESS_PREFIX, 0);
  Buffer.from(mac.replaceAll(":", ""), "hex").copy(address, ADDRESS_LENGTH - 6);
  return address;
}

function rulesetValue(rules: PolicyRuleset): Ruleset {
  return {
    ethertype: [rules.ethertype.ipv4, rules.ethertype.ipv6, rules.ethertype.arp],
    anyApplication: rules.anyApplication,
    application: [rules.application.dns, rules.application.http, rules.application.tls],
    askAny: rules.askAny,
    askRecords: rules.askRecords,
    fqdn: rules.fqdn,
    anyBinary: rules.anyBinary,
    blocks: allBlocks(rules),
    withAncestors: union(rules.ancestors.map(({ below }) => below)),
    withoutAncestors: union(rules.ancestors.map(({ notBelow }) => notBelow)),
    withUsers: union(rules.users.map(({ mask }) => mask)),
  };
}

function conditionEntries(
  { ancestors, users }: PolicyRuleset,
  ruleset: number,
  pathId: (path: string) => number,
): RulesetEntries["conditions"] {
  return [
    ...ancestors.map(({ path, below, notBelow }): [ConditionKey, Condition] => [
      { ruleset, kind: ConditionKind.ANCESTOR, value: pathId(path) },
      { met: below, failed: notBelow },
    ]),
    ...users.map(({ user, mask }): [ConditionKey, Condition] => [
      { ruleset, kind: ConditionKind.USER, value: user },
      { met: mask, failed: 0n },
    ]),
  ];
}

function union(masks: readonly BlockMask[]): bigint {
  return masks.reduce((all, mask) => all | mask, 0n);
}

function addressBytes(text: string): Buffer {
  return Buffer.from(ipaddr.parse(text).toByteArray());
}

/** The codecs write numbers as the machine does; the kernel side wants ports in network byte order. */
function networkOrder(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}
