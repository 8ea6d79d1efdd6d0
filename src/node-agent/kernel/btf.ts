/**
 * A reader of BTF, the type information of BPF objects. As much of it as the layouts of structs, enums and global
 * variables take. Format: Documentation/bpf/btf.rst of the kernel.
 */
import { PortcullisError } from "../../api/errors.ts";

/** The bytes are not BTF, or not of a kind that this reader knows. */
export class BtfError extends PortcullisError {
  constructor(message: string, remedy = "Build the object again with clang -g (make build)") {
    super("PC_BTF", `${message}. ${remedy}`);
  }
}

export interface BtfMember {
  name: string;
  typeId: number;
  /** From the start of the struct, bits. */
  bitOffset: number;
}

export interface BtfVariable {
  typeId: number;
  /** In its section, bytes. */
  offset: number;
  /** Bytes. */
  size: number;
}

export type BtfType =
  | { kind: "int"; name: string; size: number; signed: boolean }
  | { kind: "array"; typeId: number; length: number }
  | { kind: "struct"; name: string; size: number; members: BtfMember[] }
  | { kind: "enum"; name: string; size: number; values: { name: string; value: number }[] }
  | { kind: "alias"; name: string; typeId: number }
  | { kind: "variable"; name: string; typeId: number }
  | { kind: "section"; name: string; variables: BtfVariable[] }
  | { kind: "other"; name: string };

const MAGIC = 0xeb9f;
const TYPE_HEADER_SIZE = 12;

const KIND = { INT: 1, ARRAY: 3, STRUCT: 4, UNION: 5, ENUM: 6, TYPEDEF: 8, VOLATILE: 9, CONST: 10, RESTRICT: 11 };
const LATER_KIND = { FUNC_PROTO: 13, VAR: 14, DATASEC: 15, DECL_TAG: 17, TYPE_TAG: 18, ENUM64: 19 };
const LAST_KIND = LATER_KIND.ENUM64;

/** Bytes that follow a type's header: a fixed part, and one per element. */
const TRAILER: ReadonlyMap<number, { fixed: number; perElement: number }> = new Map([
  [KIND.INT, { fixed: 4, perElement: 0 }],
  [KIND.ARRAY, { fixed: 12, perElement: 0 }],
  [KIND.STRUCT, { fixed: 0, perElement: 12 }],
  [KIND.UNION, { fixed: 0, perElement: 12 }],
  [KIND.ENUM, { fixed: 0, perElement: 8 }],
  [LATER_KIND.FUNC_PROTO, { fixed: 0, perElement: 8 }],
  [LATER_KIND.VAR, { fixed: 4, perElement: 0 }],
  [LATER_KIND.DATASEC, { fixed: 0, perElement: 12 }],
  [LATER_KIND.DECL_TAG, { fixed: 4, perElement: 0 }],
  [LATER_KIND.ENUM64, { fixed: 0, perElement: 12 }],
]);

const ALIASES = new Set([KIND.TYPEDEF, KIND.VOLATILE, KIND.CONST, KIND.RESTRICT, LATER_KIND.TYPE_TAG]);

/** All types; the index is the BTF id, 0 is void. @throws BtfError */
export function parseBtf(raw: Buffer): BtfType[] {
  if (raw.length < 24 || raw.readUInt16LE(0) !== MAGIC) throw new BtfError("this is not little-endian BTF");
  const headerLength = raw.readUInt32LE(4);
  const typesAt = headerLength + raw.readUInt32LE(8);
  const typesEnd = typesAt + raw.readUInt32LE(12);
  const stringsAt = headerLength + raw.readUInt32LE(16);
  const text = (offset: number): string => {
    const start = stringsAt + offset;
    return raw.toString("utf8", start, raw.indexOf(0, start));
  };
  const types: BtfType[] = [{ kind: "other", name: "void" }];
  for (let at = typesAt; at < typesEnd; ) {
    const { type, length } = parseType(raw, at, text);
    types.push(type);
    at += length;
  }
  return types;
}

type ReadText = (offset: number) => string;

function parseType(raw: Buffer, at: number, text: ReadText): { type: BtfType; length: number } {
  const info = raw.readUInt32LE(at + 4);
  const kind = (info >>> 24) & 0x1f;
  const count = info & 0xffff;
  if (kind > LAST_KIND) throw new BtfError(`BTF has a type of kind ${kind}, which is newer than this reader`);
  const trailer = TRAILER.get(kind) ?? { fixed: 0, perElement: 0 };
  const length = TYPE_HEADER_SIZE + trailer.fixed + trailer.perElement * count;
  const elements = Array.from({ length: count }, (_, n) => at + TYPE_HEADER_SIZE + n * trailer.perElement);
  return { type: buildType(raw, at, kind, info >>> 31 === 1, elements, text), length };
}

/** @param flag the type's kind_flag: bit fields in structs, signed values in enums */
function buildType(raw: Buffer, at: number, kind: number, flag: boolean, elements: number[], text: ReadText): BtfType {
  const name = text(raw.readUInt32LE(at));
  const sizeOrType = raw.readUInt32LE(at + 8);
  const body = at + TYPE_HEADER_SIZE;
  const u32 = (offset: number): number => raw.readUInt32LE(offset);
  if (kind === KIND.INT) return { kind: "int", name, size: sizeOrType, signed: ((u32(body) >>> 24) & 1) === 1 };
  if (kind === KIND.ARRAY) return { kind: "array", typeId: u32(body), length: u32(body + 8) };
  if (kind === KIND.STRUCT || kind === KIND.UNION) {
    const members = elements.map((e) => ({
      name: text(u32(e)),
      typeId: u32(e + 4),
      bitOffset: flag ? u32(e + 8) & 0xffffff : u32(e + 8),
    }));
    return { kind: "struct", name, size: sizeOrType, members };
  }
  if (kind === KIND.ENUM) {
    const values = elements.map((e) => ({ name: text(u32(e)), value: flag ? raw.readInt32LE(e + 4) : u32(e + 4) }));
    return { kind: "enum", name, size: sizeOrType, values };
  }
  if (kind === LATER_KIND.VAR) return { kind: "variable", name, typeId: sizeOrType };
  if (kind === LATER_KIND.DATASEC) {
    const variables = elements.map((e) => ({ typeId: u32(e), offset: u32(e + 4), size: u32(e + 8) }));
    return { kind: "section", name, variables };
  }
  if (ALIASES.has(kind)) return { kind: "alias", name, typeId: sizeOrType };
  return { kind: "other", name };
}

/** Follows typedefs and qualifiers to the type itself. */
export function resolveType(types: readonly BtfType[], id: number): BtfType {
  const type = types[id];
  if (type === undefined) throw new BtfError(`BTF has no type ${id}`);
  return type.kind === "alias" ? resolveType(types, type.typeId) : type;
}

/** Size of a value of a type, bytes. */
export function sizeOfType(types: readonly BtfType[], id: number): number {
  const type = resolveType(types, id);
  if (type.kind === "array") return type.length * sizeOfType(types, type.typeId);
  if (type.kind === "int" || type.kind === "struct" || type.kind === "enum") return type.size;
  throw new BtfError(`a ${type.kind} "${"name" in type ? type.name : ""}" has no size`);
}

/** Where the global variables of a section such as `.rodata` are, by name. */
export function sectionVariables(types: readonly BtfType[], section: string): Map<string, BtfVariable> {
  const variables = new Map<string, BtfVariable>();
  for (const type of types) {
    if (type.kind !== "section" || type.name !== section) continue;
    for (const variable of type.variables) {
      const declaration = types[variable.typeId];
      if (declaration?.kind === "variable") variables.set(declaration.name, variable);
    }
  }
  return variables;
}
