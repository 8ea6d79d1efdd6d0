/**
 * A command inside a private namespace: in its network namespace, in a PID namespace of its own, with a resolv.conf of its own in
 * a mount namespace of its own, everything else as outside. It is started by a chain of execs in one process, so that the process
 * that is spawned is the command: unshare(1) makes the mount namespace, sh puts the resolv.conf in place, and takes the ways past
 * it out of sight; setpriv(1) leaves it a container's capabilities.
 *
 * Without a PID namespace it could take a socket out of a process outside, by pidfd_getfd(2) or as a tracer: the user id is all
 * that this takes.
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, closeSync, constants, openSync, realpathSync, statSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { resolve } from "node:path";
import { inNetworkNamespace, withChildrenInNewPidNamespace } from "../ffi/namespaces.ts";
import { WorkloadError } from "../netlink/errors.ts";

export interface GuestOptions {
  /** As for child_process.spawn; `inherit` by default. */
  stdio?: StdioOptions;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** With all capabilities that we have, instead of a container's. */
  privileged?: boolean;
}

/** Exit codes that shells, env(1) and container runtimes share. */
const EXIT_SETUP_FAILED = 125;
export const EXIT_NOT_EXECUTABLE = 126;
export const EXIT_NOT_FOUND = 127;
const EXIT_SIGNAL_BASE = 128;

/** Signals that somebody sends to us and means for the command. */
const FORWARDED = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;
/** Those that a terminal sends to the command by itself, because it is in the same foreground process group. */
const FROM_TERMINAL: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT"]);

/**
 * The first process of the PID namespace, cat(1). It ends with us, who have the other end of its standard input, and with it whatever
 * runs in there. Processes that nobody waits for are its children in the end: the kernel removes them, because it ignores SIGCHLD.
 */
const FIRST = ["env", "--ignore-signal=CHLD", "cat"] as const;

/** Arguments: pairs of a file and what it is put in the place of, `--`, the command. */
const PREPARE = `
  mount -t proc proc /proc || exit ${EXIT_SETUP_FAILED}
  while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit ${EXIT_SETUP_FAILED}; shift 2; done; shift
  exec "$@"`;

/**
 * The capabilities that a container has unless its pod asks for others: `defaultUnixCaps` of containerd (pkg/oci/spec.go), Docker's too.
 * As setpriv(1) names them.
 */
const CONTAINER_CAPABILITIES = [
  ...["chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap", "setpcap"],
  ...["net_bind_service", "sys_chroot", "kill", "audit_write"],
];

/** Runs what follows with a container's capabilities and no way to more: the bounding set holds for whatever it executes. */
const AS_IN_CONTAINER = [
  ...["setpriv", "--bounding-set", ["-all", ...CONTAINER_CAPABILITIES.map((name) => `+${name}`)].join(",")],
  ...["--inh-caps", "-all", "--ambient-caps", "-all", "--"],
];

/**
 * Sockets by which libc asks daemons of the host for names (nss-resolve, nscd, nss-mdns). Answers that come that way
 * are no packets, so nothing would be learned from them; without the sockets libc asks the name server.
 */
const NAME_SERVICE_SOCKETS = [
  "/run/systemd/resolve/io.systemd.Resolve",
  "/run/nscd/socket",
  "/var/run/nscd/socket",
  "/run/avahi-daemon/socket",
];

/** The command cannot be started. `exitCode` is what a shell would end with. */
export class CommandError extends WorkloadError {
  readonly exitCode: number;

  constructor(command: string, exitCode: typeof EXIT_NOT_EXECUTABLE | typeof EXIT_NOT_FOUND) {
    const missing = exitCode === EXIT_NOT_FOUND;
    super(
      "PC_RUN_COMMAND",
      missing
        ? `there is no command ${command}; give its path, or check the spelling and PATH`
        : `${command} is not an executable file; check its permissions (chmod +x)`,
    );
    this.exitCode = exitCode;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * Where the command is: a path as it stands, a name by the search path.
 *
 * @throws CommandError with exit code 126 or 127
 */
export function findCommand(command: string, { env = process.env, cwd = process.cwd() }: GuestOptions = {}): string {
  const folders = command.includes("/") ? [""] : (env.PATH ?? "").split(":").map((folder) => `${folder || "."}/`);
  const candidates = folders.map((folder) => resolve(cwd, `${folder}${command}`));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new CommandError(command, candidates.some(exists) ? EXIT_NOT_EXECUTABLE : EXIT_NOT_FOUND);
}

/** A running command. */
export class GuestProcess {
  readonly pid: number;
  /** Its exit code; 128 + n where signal n ended it; 125 where it could not be set up. Never rejects once it runs. */
  readonly exitCode: Promise<number>;
  readonly child: ChildProcess;
  readonly #first: ChildProcess;
  readonly #end: Promise<unknown>;

  /** @param first the first process of its PID namespace */
  constructor(child: ChildProcess, pid: number, first: ChildProcess) {
    this.child = child;
    this.pid = pid;
    this.#first = first;
    this.#end = once(first, "exit");
    this.exitCode = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signalExitCode(signal)));
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it and all that it has started, in whichever namespaces of its own that is, and waits until they are gone. */
  async end(): Promise<void> {
    this.#first.kill("SIGKILL");
    await this.#end;
  }
}

/**
 * Signals that somebody sends to us and means for the command. From its making to its disposal none of them ends us, and with us what guards
 * the command; the command gets each one, also a second one, and decides.
 */
export class SignalRelay implements Disposable {
  readonly #handlers = new Map<NodeJS.Signals, () => void>();
  #guest: GuestProcess | null = null;
  #early: NodeJS.Signals | null = null;

  constructor() {
    for (const signal of FORWARDED) {
      const handler = () => this.#take(signal);
      this.#handlers.set(signal, handler);
      process.on(signal, handler);
    }
  }

  /** Exit status that a shell would give for the first signal that came before there was a command; null: none came. */
  get earlyExitCode(): number | null {
    return this.#early === null ? null : signalExitCode(this.#early);
  }

  /** Hands signals on to the command from now on. */
  relayTo(guest: GuestProcess): void {
    this.#guest = guest;
    if (this.#early !== null) guest.kill(this.#early);
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  #take(signal: NodeJS.Signals): void {
    if (this.#guest === null) this.#early ??= signal;
    else if (process.stdin.isTTY !== true || !FROM_TERMINAL.has(signal)) this.#guest.kill(signal);
  }
}

function signalExitCode(signal: NodeJS.Signals | null): number {
  return signal === null ? EXIT_SETUP_FAILED : EXIT_SIGNAL_BASE + osConstants.signals[signal];
}

export interface GuestPlace {
  netnsPath: string;
  /** File whose content the command sees as its resolv.conf, and the file in whose place it is. */
  resolvConf: string;
  resolvConfTarget: string;
  /** Files that the command shall find empty where they exist; sockets of name services where absent. */
  hidden?: readonly string[];
}

function bindings({ resolvConf, resolvConfTarget, hidden = NAME_SERVICE_SOCKETS }: GuestPlace): string[] {
  // The same file by two names is hidden once.
  const targets = new Set(hidden.filter(exists).map((path) => realpathSync(path)));
  return [resolvConf, resolvConfTarget, ...[...targets].flatMap((path) => ["/dev/null", path])];
}

/**
 * Starts a command.
 *
 * @param command a name or a path, and its arguments
 * @throws CommandError where there is no such command; WorkloadError (PC_RUN_SETUP) where it cannot be spawned
 */
export function spawnGuest(
  place: GuestPlace,
  command: readonly [string, ...string[]],
  { privileged = false, ...options }: GuestOptions = {},
): GuestProcess {
  findCommand(command[0], options);
  const words = privileged ? command : [...AS_IN_CONTAINER, ...command];
  const prepare = ["/bin/sh", "-c", PREPARE, "portcullis", ...bindings(place), "--", ...words];
  const args = ["--mount", "--propagation", "slave", ...prepare];
  const namespace = openSync(place.netnsPath, "r");
  try {
    // Children are forked by this very thread, and so begin in the namespaces that the thread has for them.
    const { first, child } = withChildrenInNewPidNamespace(() => ({
      first: spawnFirst(),
      child: inNetworkNamespace(namespace, () => spawn("unshare", args, { stdio: "inherit", ...options })),
    }));
    const { pid } = child;
    if (pid !== undefined) return new GuestProcess(child, pid, first);
    // The reason comes as an event, later; without a listener it would end the process.
    child.once("error", () => undefined);
    first.kill("SIGKILL");
    throw new WorkloadError(
      "PC_RUN_SETUP",
      "unshare (package util-linux) cannot be started; `portcullis run` needs it",
    );
  } finally {
    closeSync(namespace);
  }
}

/** Without variables: those that name code to be loaded (LD_PRELOAD) may be a command's if its namespace's first process has them. */
function spawnFirst(): ChildProcess {
  const [env, ...args] = FIRST;
  const first = spawn(env, args, { stdio: ["pipe", "ignore", "ignore"], env: { PATH: process.env.PATH }, cwd: "/" });
  if (first.pid !== undefined) return first;
  first.once("error", () => undefined);
  throw new WorkloadError("PC_RUN_SETUP", "env (package coreutils) cannot be started; `portcullis run` needs it");
}
