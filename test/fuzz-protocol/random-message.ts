/** Random messages of agent.proto, made from its own description: every field there is, with values that are likely to hurt. */
import { create, type DescField, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Random } from "../../src/policy/testing/random.ts";

/** What a field of this name would hold if all were well, so that most of a message comes through to where it is used. */
const PLAUSIBLE: Readonly<Record<string, readonly unknown[]>> = {
  podUid: ["uid-default-web", "uid-default-web-2", "uid-default-none"],
  removed: ["uid-default-web"],
  profile: ["default/web", "default/none"],
  profiles: ["default/web"],
  path: ["/bin/app", "", "/bin/other"],
  container: ["", "app"],
  direction: ["egress", "ingress"],
  verdict: ["allowed", "alerted", "dropped", "counted"],
  verdicts: ["dropped"],
  reason: ["Peer", "DnsName", "NewReason"],
  type: ["verdict", "dns", "listen"],
  where: ["kernel", "output"],
  fault: ["none"],
  uid: ["uid-default-web", "uid-default-web-2"],
  code: ["", "PC_UNEXPECTED"],
  port: [0, 80, 65_535],
  phase: [1, 2, 3, 4, 5],
  revision: [1n, 2n],
  searchDomains: ["default.svc.cluster.local", "example"],
  hash: ["abc", ""],
  tableHash: ["abc", ""],
};
const PLAUSIBLE_SHARE = 0.9;

const TEXTS: readonly ((random: Random) => string)[] = [
  () => "",
  () => "default/web",
  () => "uid-default-web",
  () => "/bin/app",
  () => "egress",
  () => "dropped",
  () => "Peer",
  () => "PC_STATE_HASH",
  () => "__proto__",
  () => "constructor",
  () => "\u0000\u001b[2J\u202e",
  () => "\ud800",
  (random) => "x".repeat(random.below(random.chance(0.1) ? 20_000 : 300)),
  (random) => Array.from({ length: random.below(40) }, () => String.fromCodePoint(random.below(0xd7ff))).join(""),
];
const BIGINTS = [0n, 1n, 5n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, 253_402_300_800_000n, 10n ** 17n];
const NUMBERS = [0, 1, 5, 80, 65_535, 65_536, 2 ** 31 - 1];
const LENGTHS = [0, 0, 1, 1, 2, 3, 50];
const DEPTH_MAX = 5;

export function randomMessage<Desc extends DescMessage>(random: Random, desc: Desc, depth = 0): MessageShape<Desc> {
  const message = create(desc) as Record<string, unknown>;
  for (const oneof of desc.oneofs) {
    const field = random.pick(oneof.fields);
    message[oneof.localName] = { case: field.localName, value: randomValue(random, field, depth) };
  }
  for (const field of desc.fields) {
    if (field.oneof === undefined && random.chance(0.8)) message[field.localName] = randomField(random, field, depth);
  }
  return message as MessageShape<Desc>;
}

function randomField(random: Random, field: DescField, depth: number): unknown {
  if (field.fieldKind === "list") {
    const length = depth > DEPTH_MAX ? 0 : random.pick(LENGTHS);
    return Array.from({ length }, () => randomValue(random, field, depth));
  }
  if (field.fieldKind === "map") {
    return Object.fromEntries(Array.from({ length: random.below(4) }, () => [randomText(random), randomText(random)]));
  }
  return randomValue(random, field, depth);
}

function randomValue(random: Random, field: DescField, depth: number): unknown {
  const plausible = field.message === undefined ? PLAUSIBLE[field.localName] : undefined;
  if (plausible !== undefined && random.chance(PLAUSIBLE_SHARE)) return random.pick(plausible);
  if (field.message !== undefined) return randomMessage(random, field.message, depth + 1);
  if (field.enum !== undefined) return random.chance(0.8) ? random.pick(field.enum.values).number : random.below(2000);
  switch (field.scalar) {
    case 9: // STRING, as google.protobuf.FieldDescriptorProto.Type numbers them
      return randomText(random);
    case 8: // BOOL
      return random.chance(0.5);
    case 12: // BYTES
      return randomBytes(random);
    case 3: // INT64
      return random.chance(0.2) ? -random.pick(BIGINTS) : random.pick(BIGINTS);
    case 4: // UINT64
      return random.chance(0.1) ? 2n ** 64n - 1n : random.pick(BIGINTS);
    default:
      return random.pick(NUMBERS);
  }
}

function randomText(random: Random): string {
  return random.pick(TEXTS)(random);
}

function randomBytes(random: Random): Uint8Array {
  const texts = [
    "{}",
    "[]",
    "null",
    '{"type":"verdict","workload":{"namespace":"default","name":"web"}}',
    "[".repeat(5_000),
  ];
  return Buffer.from(random.chance(0.7) ? random.pick(texts) : randomText(random));
}

/** What came out of a machine, changed here and there, cut, or doubled. */
export function mutated(random: Random, bytes: Uint8Array): Buffer {
  let out = Buffer.from(bytes);
  for (let count = random.below(6); count > 0 && out.length > 0; count -= 1) {
    const at = random.below(out.length);
    const kind = random.below(4);
    if (kind === 0) out[at] = random.below(256);
    else if (kind === 1) out = out.subarray(0, at);
    else if (kind === 2)
      out = Buffer.concat([out.subarray(0, at), Buffer.alloc(random.below(64), random.below(256)), out.subarray(at)]);
    else out = Buffer.concat([out, out.subarray(at)]).subarray(0, 2 ** 20);
  }
  return out;
}
