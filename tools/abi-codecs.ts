/** BTF types to TypeScript text: an interface and a codec per struct, a constant object per enum. */
import type { BtfMember, BtfType } from "../src/node-agent/kernel/btf.ts";
import { BtfError, resolveType, sizeOfType } from "../src/node-agent/kernel/btf.ts";

const CONSTANTS_ENUM = "abi_constant";
/**
 * Members that are no fields in TypeScript: they are there for the layout only, and zero in the kernel, or are the kernel's
 * lock, which it shows to nobody.
 */
const FILLER = /^(padding\d*|zero|lock)$/;
/** Names that would hide a global of JavaScript. */
const RENAMED: ReadonlyMap<string, string> = new Map([["error", "ErrorKind"]]);
/** Longest array that becomes a tuple, whose elements are known to be there. */
const TUPLE_MAX = 16;

type Struct = Extract<BtfType, { kind: "struct" }>;
type Enum = Extract<BtfType, { kind: "enum" }>;

/** One element of a struct in TypeScript: its type and the expressions that write and read it. */
interface Field {
  type: string;
  write(value: string, at: string): string;
  read(at: string): string;
}

/**
 * @param types of the layout object
 * @param header text of abi.h with all that it includes: what it declares must all be in the object
 * @throws BtfError where something is missing, or of a kind that has no place in a shared struct
 */
export function generateCodecs(types: readonly BtfType[], header: string): string {
  const structs = declared(header, "struct").map((name) => find(types, "struct", name));
  const enums = declared(header, "enum").map((name) => find(types, "enum", name));
  const constants = find(types, "enum", CONSTANTS_ENUM);
  checkConstants(header, constants);
  return [
    PREAMBLE,
    constants.values.map(({ name, value }) => `export const ${name.replace(/^ABI_/, "")} = ${value};`).join("\n"),
    ...enums.map(enumText),
    ...structs.map((struct) => structText(types, struct)),
  ]
    .join("\n\n")
    .concat("\n");
}

const PREAMBLE = `/**
 * Generated from bpf/include/abi.h by tools/generate-abi.ts. Do not edit: run \`make generate\`.
 *
 * Numbers are as the struct has them: where abi.h says network byte order (ports), a field read here holds the
 * bytes swapped. u64 is bigint, arrays of bytes are Buffers, texts are strings, padding is left out.
 */
import type { Codec } from "../node-agent/kernel/codec.ts";
import { readBytes, readText, writeBytes, writeText } from "../node-agent/kernel/codec.ts";`;

function declared(header: string, kind: "struct" | "enum"): string[] {
  return [...header.matchAll(new RegExp(`^${kind} (\\w+) \\{`, "gm"))].map((match) => match[1] ?? "");
}

function find(types: readonly BtfType[], kind: "struct", name: string): Struct;
function find(types: readonly BtfType[], kind: "enum", name: string): Enum;
function find(types: readonly BtfType[], kind: "struct" | "enum", name: string): BtfType {
  const type = types.find((candidate) => candidate.kind === kind && candidate.name === name);
  if (type === undefined)
    throw new BtfError(`${kind} ${name} is not in the layout object`, "Add a variable of it to bpf/test/layout.bpf.c");
  return type;
}

function checkConstants(header: string, constants: Enum): void {
  const known = new Set(constants.values.map(({ name }) => name));
  for (const [, name] of header.matchAll(/^#define (\w+)[ \t]+\S/gm)) {
    if (!known.has(`ABI_${name}`))
      throw new BtfError(`#define ${name} is not in the layout object`, "Add it to enum abi_constant");
  }
}

/** `flow_key` to `FlowKey`. */
function typeName(name: string): string {
  return RENAMED.get(name) ?? name.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** `table_id` to `tableId`. */
function fieldName(name: string): string {
  return name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Members lose the first word of the enum's name: MODE_ALERT of `enum mode_flag` is `ModeFlag.ALERT`. */
function enumText(type: Enum): string {
  const prefix = `${type.name.split("_")[0]?.toUpperCase()}_`;
  const members = type.values.map(({ name, value }) => {
    if (!name.startsWith(prefix)) throw new BtfError(`${name} of enum ${type.name} should start with ${prefix}`);
    return `  ${name.slice(prefix.length)}: ${value},`;
  });
  const name = typeName(type.name);
  return `/** \`enum ${type.name}\` */\nexport const ${name} = {\n${members.join("\n")}\n} as const;`;
}

function structText(types: readonly BtfType[], struct: Struct): string {
  const name = typeName(struct.name);
  checkHoles(types, struct);
  const members = struct.members.filter((member) => !FILLER.test(member.name));
  const fields = members.map((member) => ({
    name: fieldName(member.name),
    offset: member.bitOffset / 8,
    field: fieldOf(types, member.typeId, `${name}.${fieldName(member.name)}`, member),
  }));
  const declarations = fields.map(({ name: field, field: { type } }) => `  ${field}: ${type};`);
  const writes = fields.map(({ name: field, offset, field: f }) => `    ${f.write(`value.${field}`, at(offset))}`);
  const fillers = struct.members
    .filter((member) => FILLER.test(member.name))
    .map(({ typeId, bitOffset }) => {
      const end = bitOffset / 8 + sizeOfType(types, typeId);
      return `    buffer.fill(0, ${at(bitOffset / 8)}, ${at(end)});`;
    });
  const reads = fields.map(({ name: field, offset, field: f }) => `      ${field}: ${f.read(at(offset))},`);
  return `/** \`struct ${struct.name}\`, ${struct.size} bytes */
export interface ${name} {
${declarations.join("\n")}
}

export const ${name}: Codec<${name}> = {
  SIZE: ${struct.size},
  encode(value: ${name}, buffer: Buffer = Buffer.alloc(${struct.size}), offset = 0): Buffer {
${[...writes, ...fillers].join("\n")}
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): ${name} {
    return {
${reads.join("\n")}
    };
  },
};`;
}

/** Bytes that no member names are not zeroed by C initialisers, and would make keys of maps differ. */
function checkHoles(types: readonly BtfType[], struct: Struct): void {
  let end = 0;
  for (const member of struct.members) {
    if (member.bitOffset / 8 !== end)
      throw new BtfError(`struct ${struct.name} has a hole before ${member.name}`, "Name it padding in abi.h");
    end += sizeOfType(types, member.typeId);
  }
  if (end !== struct.size)
    throw new BtfError(`struct ${struct.name} has a hole at its end`, "Name it padding in abi.h");
}

function at(offset: number): string {
  return offset === 0 ? "offset" : `offset + ${offset}`;
}

function add(expression: string, offset: number): string {
  return offset === 0 ? expression : `${expression} + ${offset}`;
}

function fieldOf(types: readonly BtfType[], typeId: number, label: string, member: BtfMember): Field {
  if (member.bitOffset % 8 !== 0) throw new BtfError(`${label} is a bit field; abi.h has none`);
  const type = resolveType(types, typeId);
  if (type.kind === "int") return intField(type.size, type.signed, label);
  if (type.kind === "enum") return intField(type.size, false, label);
  if (type.kind === "struct") return structField(typeName(type.name));
  if (type.kind === "array") return arrayField(types, type.typeId, type.length, label, member);
  throw new BtfError(`${label} is a ${type.kind}, which cannot be shared with user space`);
}

function intField(size: number, signed: boolean, label: string): Field {
  const accessor = new Map([
    [1, "Int8"],
    [2, "Int16LE"],
    [4, "Int32LE"],
    [8, "Int64LE"],
  ]).get(size);
  if (accessor === undefined) throw new BtfError(`${label} is an integer of ${size} bytes`);
  const sign = signed ? "" : "U";
  const big = size === 8 ? "Big" : "";
  return {
    type: size === 8 ? "bigint" : "number",
    write: (value, offset) => `buffer.write${big}${sign}${accessor}(${value}, ${offset});`,
    read: (offset) => `buffer.read${big}${sign}${accessor}(${offset})`,
  };
}

function structField(name: string): Field {
  return {
    type: name,
    write: (value, offset) => `${name}.encode(${value}, buffer, ${offset});`,
    read: (offset) => `${name}.decode(buffer, ${offset})`,
  };
}

function arrayField(types: readonly BtfType[], id: number, length: number, label: string, member: BtfMember): Field {
  const element = resolveType(types, id);
  if (element.kind === "int" && element.size === 1) {
    return element.name === "char" ? textField(length, label) : bytesField(length, label);
  }
  if (length > TUPLE_MAX) throw new BtfError(`${label} has ${length} elements; at most ${TUPLE_MAX} are handled`);
  const field = fieldOf(types, id, label, member);
  const size = sizeOfType(types, id);
  const indices = Array.from({ length }, (_, n) => n);
  return {
    type: `[${indices.map(() => field.type).join(", ")}]`,
    write: (value, offset) => indices.map((n) => field.write(`${value}[${n}]`, add(offset, n * size))).join("\n    "),
    read: (offset) => `[${indices.map((n) => field.read(add(offset, n * size))).join(", ")}]`,
  };
}

function bytesField(length: number, label: string): Field {
  return {
    type: "Uint8Array",
    write: (value, offset) => `writeBytes(buffer, ${value}, ${offset}, ${length}, "${label}");`,
    read: (offset) => `readBytes(buffer, ${offset}, ${length})`,
  };
}

function textField(length: number, label: string): Field {
  return {
    type: "string",
    write: (value, offset) => `writeText(buffer, ${value}, ${offset}, ${length}, "${label}");`,
    read: (offset) => `readText(buffer, ${offset}, ${length})`,
  };
}
