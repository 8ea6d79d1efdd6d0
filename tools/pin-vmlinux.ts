/**
 * Writes bpf/vmlinux/vmlinux.h: of the running kernel's types, those that the programs use and what these hold by value. So a build depends
 * on no kernel; the programs are fitted to the one that they run on when they are loaded (CO-RE). For maintainers, when a program uses another
 * type: `make vmlinux`, on a kernel that has it.
 */
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { PortcullisError } from "../src/api/errors.ts";

const ROOT = join(import.meta.dirname, "..");
const HEADER = join(ROOT, "bpf/vmlinux/vmlinux.h");
const BTF = "/sys/kernel/btf/vmlinux";
/** What names types: the programs, and libbpf's headers, which they include. */
const SOURCES = ["bpf/*.bpf.c", "bpf/test/*.bpf.c", "bpf/include/**/*.h", "/usr/include/bpf/bpf_*.h"];
const WORD = /[A-Za-z_]\w*/g;
/** A member that points to a type needs it whole only if a program follows the pointer, and so has the member's name. */
const POINTER = /\b(?:const )?(?:struct|union) \w+ (?:const )?\*+(\w*)/g;
const PREAMBLE = `#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif
`;
const END = `#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif
`;

/** One declaration of bpftool's output, in whose order each stands behind what it holds. */
interface Declaration {
  text: string;
  /** `struct sock`, a typedef's name, an enumeration's constants. */
  names: readonly string[];
}

function declarations(header: string): Declaration[] {
  const parts = header.split(/\n\n+/).filter((part) => /^(typedef|struct|union|enum)\b/.test(part));
  return parts.map((text) => ({ text, names: namesOf(text) }));
}

function namesOf(text: string): string[] {
  const tagged = /^(struct|union|enum) (\w+)/.exec(text);
  const constants = text.startsWith("enum") ? [...text.matchAll(/^\t(\w+) = /gm)].map(([, name = ""]) => name) : [];
  if (tagged !== null) return [`${tagged[1]} ${tagged[2]}`, ...constants];
  if (!text.startsWith("typedef")) return constants;
  const ofFunction = /\(\*(\w+)\)\(|(\w+)\(/.exec(text);
  const name = ofFunction?.[1] ?? ofFunction?.[2] ?? /(\w+)(?:\[[^\]]*\])*;$/.exec(text)?.[1];
  return name === undefined ? [] : [name];
}

/** Names in a text, tags with their kind. */
function mentioned(text: string): Set<string> {
  const tags = [...text.matchAll(/\b(struct|union|enum) (\w+)/g)].map(([, kind, tag]) => `${kind} ${tag}`);
  return new Set([...tags, ...(text.match(WORD) ?? [])]);
}

/** Those that are named, and all that they hold by value or by a named pointer. */
function needed(all: readonly Declaration[], named: ReadonlySet<string>): Set<Declaration> {
  const byName = new Map(all.flatMap((declaration) => declaration.names.map((name) => [name, declaration] as const)));
  const found = new Set<Declaration>();
  const waiting = [...named].flatMap((name) => byName.get(name) ?? []);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    const members = mentioned(next.text.replace(POINTER, (pointer, name) => (named.has(name) ? pointer : "")));
    waiting.push(...[...members].flatMap((name) => byName.get(name) ?? []));
  }
  return found;
}

/** So that a type is the same one everywhere, also where a pointer to it stands before it. */
function forwardDeclarations(kept: readonly Declaration[]): string[] {
  const mentionedTags = kept.flatMap(({ text }) => text.match(/\b(struct|union) \w+/g) ?? []);
  return [...new Set(mentionedTags)].sort().map((name) => `${name};`);
}

function main(): void {
  const header = execFileSync("bpftool", ["btf", "dump", "file", BTF, "format", "c"], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const sources = SOURCES.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).map((path) =>
    join("/", path.startsWith("/") ? path : join(ROOT, path)),
  );
  const named = mentioned(sources.map((path) => readFileSync(path, "utf8")).join("\n"));
  const all = declarations(header);
  if (all.length === 0) throw new PortcullisError("PC_INTERNAL", `bpftool has written no type of ${BTF}`);
  const chosen = needed(all, named);
  const kept = all.filter((declaration) => chosen.has(declaration));
  const forward = forwardDeclarations(kept);
  const origin = `/* Types of Linux ${release().match(/^\d+\.\d+/)?.[0]}, x86_64, as far as the programs use them: tools/pin-vmlinux.ts. */\n`;
  mkdirSync(dirname(HEADER), { recursive: true });
  writeFileSync(HEADER, [origin + PREAMBLE, forward.join("\n"), ...kept.map(({ text }) => text), END].join("\n\n"));
}

main();
