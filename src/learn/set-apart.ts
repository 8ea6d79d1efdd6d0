/** What is not learned unless somebody asks for it, because an attacker would have done it too. */
import type { Observation } from "./recording.ts";

/** Why something is not in the profile. */
export const LEFT_OUT_REASONS = [
  "no-process",
  "unknown-executable",
  "modified",
  "shell",
  "package-manager",
  "debugger",
  "one-off-port",
  "one-off-name",
  "unlistable-name",
] as const;
export type LeftOutReason = (typeof LEFT_OUT_REASONS)[number];

export const LEFT_OUT_WORDS: Readonly<Record<LeftOutReason, string>> = {
  "no-process": "packets of no process",
  "unknown-executable": "an executable whose path is not known",
  modified: "changed after its container started, or started with code from elsewhere",
  shell: "a shell",
  "package-manager": "a package manager",
  debugger: "a tool for looking into other processes or into the network",
  "one-off-port": "ports that were chosen for one connection each",
  "one-off-name": "names with random labels that were asked for once",
  "unlistable-name": "a name that a profile cannot list",
};

/** Names of executables, by kind. */
const KINDS: readonly (readonly [LeftOutReason, ReadonlySet<string>])[] = [
  ["shell", new Set(["sh", "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "pwsh", "rbash", "tcsh", "zsh"])],
  [
    "package-manager",
    new Set([
      ...["apk", "apt", "apt-get", "aptitude", "dnf", "dpkg", "microdnf", "opkg", "pacman", "rpm", "yum", "zypper"],
      ...["gem", "npm", "pip", "pip3", "pnpm", "yarn"],
    ]),
  ],
  [
    "debugger",
    new Set([
      ...["gdb", "gdbserver", "lldb", "ltrace", "perf", "strace"],
      ...["nc", "ncat", "netcat", "nmap", "nsenter", "socat", "tcpdump", "telnet", "tshark"],
    ]),
  ],
];

/** Folder of the programs that apt fetches with, under names such as `http`. */
const APT_METHODS = "/usr/lib/apt/methods/";
/** `python3.13`, `bash-5.2`, `nc.openbsd`: the version or flavour behind a program's name. */
const FLAVOUR = /[.-](\d[\d.]*|openbsd|traditional|static)$/;

/** The path that an entry for the process has: of the script where one was executed, else of the executable. */
export function entryPath({ subject }: Observation): string | null {
  return subject?.script ?? subject?.path ?? null;
}

/** Why a process is not learned from; null where it is. @param include paths that are learned from whatever they are */
export function setApart(observation: Observation, include: ReadonlySet<string>): LeftOutReason | null {
  const { subject } = observation;
  const path = entryPath(observation);
  if (subject === null) return "no-process";
  if (path === null) return "unknown-executable";
  if (include.has(path)) return null;
  return subject.modified ? "modified" : kindOfTool(path);
}

function kindOfTool(path: string): LeftOutReason | null {
  if (path.startsWith(APT_METHODS)) return "package-manager";
  const name = path.slice(path.lastIndexOf("/") + 1);
  const plain = name.replace(FLAVOUR, "");
  return KINDS.find(([, names]) => names.has(name) || names.has(plain))?.[0] ?? null;
}
