/** Everything that the demo sets up, and its removal. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentProcess } from "./agent-process.ts";
import { type CommandResult, collect, DemoSetupError, must, run } from "./command.ts";
import { Container } from "./container.ts";
import {
  ADDRESS,
  buildNetwork,
  enter,
  NODE,
  netnsOf,
  OUTSIDE,
  OUTSIDE_NAME,
  PODS,
  PONG_NAME,
  type Pod,
  RESOLVER,
  remainingNamespaces,
  removeNetwork,
  spawnStage,
} from "./topology.ts";

export const PIN_ROOT = "/sys/fs/bpf/pc-demo";
const FOLDER = "/run/pc-demo";
const STATE = join(FOLDER, "state");
const PROFILES = join(FOLDER, "profiles");
const OUTSIDE_PAGES = join(FOLDER, "outside");
const REPOSITORY = join(import.meta.dirname, "..", "..");

/** In the abstract namespace of Unix sockets: the kernel takes it back when the demo ends, however it ends. */
const LOCK_NAME = "\0pc-demo";

const LISTEN_TIMEOUT_MS = 3_000;
const LOOK_AGAIN_MS = 20;

const NAME_SERVER = [
  "dnsmasq",
  "--keep-in-foreground",
  "--conf-file=/dev/null",
  "--pid-file=",
  "--user=root",
  "--no-resolv",
  "--no-hosts",
  "--bind-interfaces",
  `--listen-address=${RESOLVER}`,
  "--log-queries",
  "--log-facility=-",
  "--local=/#/",
  `--host-record=${PONG_NAME},${ADDRESS.pong}`,
  `--host-record=${OUTSIDE_NAME},${OUTSIDE}`,
];

export class Stage {
  readonly #lock: Server;
  #containers: Partial<Record<Pod, Container>> = {};
  #agent: AgentProcess | null = null;
  #resolverLog = () => "";

  private constructor(lock: Server) {
    this.#lock = lock;
  }

  /** Makes sure that there is no other demo, and nothing left of one that was killed. @throws DemoSetupError */
  static async clear(): Promise<Stage> {
    const stage = new Stage(await onlyOne());
    await stage.#removeAll();
    return stage;
  }

  /** Sets up network, servers and containers. @throws DemoSetupError */
  async build(): Promise<void> {
    mkdirSync(PROFILES, { recursive: true, mode: 0o700 });
    mkdirSync(OUTSIDE_PAGES);
    for (const pod of PODS) cpSync(join(REPOSITORY, "examples", `${pod}.yaml`), join(PROFILES, `${pod}.yaml`));
    writeFileSync(join(OUTSIDE_PAGES, "index.html"), "outside\n");
    await buildNetwork();
    const { stderr } = spawnStage([...enter(NODE), ...NAME_SERVER]);
    if (stderr !== null) this.#resolverLog = collect(stderr);
    spawnStage([...enter(NODE), "busybox", "httpd", "-f", "-p", `${OUTSIDE}:80`, "-h", OUTSIDE_PAGES]);
    for (const pod of PODS) this.#containers[pod] = await Container.start(pod, FOLDER);
    await listening(`${RESOLVER}:53`);
    await listening(`${OUTSIDE}:80`);
  }

  /** Whether the resolver has received a pod's question for a name. */
  hasHeard(pod: Pod, name: string): boolean {
    return this.#resolverLog().includes(`${name} from ${ADDRESS[pod]}`);
  }

  container(pod: Pod): Container {
    const container = this.#containers[pod];
    if (container === undefined) throw new DemoSetupError(`the container of ${pod} has not been started`);
    return container;
  }

  get agent(): AgentProcess {
    if (this.#agent === null) throw new DemoSetupError("the agent has not been started");
    return this.#agent;
  }

  /** Starts an agent in the node's network namespace, on the pods' profiles. */
  startAgent(): AgentProcess {
    const workloads = PODS.flatMap((pod) => ["--netns", `${netnsOf(pod)}:app=${pod}`]);
    this.#agent = new AgentProcess(portcullis("agent", "--profiles", PROFILES, ...workloads, "--output", "json"));
    return this.#agent;
  }

  /** Runs another command of Portcullis in the node's network namespace. @param width columns of its lines */
  portcullis(width: number, subcommand: string, ...args: string[]): Promise<CommandResult> {
    return run(portcullis(subcommand, ...args), { env: { ...process.env, COLUMNS: String(width) } });
  }

  /** Asks the agent about its records. @param width columns of the answer's lines */
  ask(width: number, subcommand: string, ...args: string[]): Promise<CommandResult> {
    const command = [
      join(REPOSITORY, "bin", "portcullis"),
      subcommand,
      ...args,
      "--server",
      join(STATE, "observe.sock"),
    ];
    return run([...enter(NODE), ...command], { env: { ...process.env, COLUMNS: String(width) } });
  }

  /** Writes `actions` into a pod's profile. @throws DemoSetupError where the profile has no such line */
  setActions(pod: Pod, actions: readonly string[]): void {
    const path = join(PROFILES, `${pod}.yaml`);
    const before = readFileSync(path, "utf8");
    const after = before.replace(/^ {2}actions: .*$/m, `  actions: [${actions.join(", ")}]`);
    if (after === before) throw new DemoSetupError(`${pod}.yaml has no line "  actions: [...]" that could be changed`);
    writeFileSync(path, after);
  }

  /** Puts one profile in the place of all that were there, in one stroke. @returns its path */
  onlyProfile(pod: Pod, text: string): string {
    const path = join(PROFILES, `${pod}.yaml`);
    for (const other of PODS.filter((name) => name !== pod)) rmSync(join(PROFILES, `${other}.yaml`), { force: true });
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
    return path;
  }

  /** Keeps a text of a step for the next ones. */
  keep(name: string, text: string): void {
    writeFileSync(this.kept(name), text);
  }

  read(name: string): string {
    return readFileSync(this.kept(name), "utf8");
  }

  /** Path of a text that was kept. */
  kept(name: string): string {
    return join(FOLDER, name);
  }

  /** Takes everything down, at whatever point of the demo. @throws DemoSetupError where something stays */
  async remove(): Promise<void> {
    await this.#removeAll();
    this.#lock.close();
    const left = remains();
    if (left.length > 0) throw new DemoSetupError(`the demo could not remove all that it made: ${left.join(", ")}`);
  }

  async #removeAll(): Promise<void> {
    await this.#agent?.kill();
    if (existsSync(PIN_ROOT)) {
      // Where there is no agent and no node any more, the pins are all that holds the programs.
      if (remainingNamespaces().includes(NODE)) await run(portcullis("detach", "--all"));
      rmSync(PIN_ROOT, { recursive: true, force: true });
    }
    await removeNetwork();
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

/** What is there of the demo on this machine: network namespaces, files and pins. */
export function remains(): string[] {
  const namespaces = remainingNamespaces().map((name) => `network namespace ${name}`);
  return [...namespaces, ...[FOLDER, PIN_ROOT].filter((path) => existsSync(path))];
}

/** What of BPF the kernel holds for the demo. */
export interface KernelObjects {
  programs: number[];
  maps: number[];
  links: number[];
}

/** Numbers of the BPF objects that are pinned for the demo, and of the programs behind the links. */
export async function pinnedObjects(): Promise<KernelObjects> {
  const [programs, maps, links] = [await objects("prog"), await objects("map"), await objects("link")];
  const pinnedLinks = links.filter(isOurs);
  const behind = new Set([
    ...programs.filter(isOurs).map(({ id }) => id),
    ...pinnedLinks.map(({ prog_id }) => prog_id),
  ]);
  return {
    programs: programs.map(({ id }) => id).filter((id) => behind.has(id)),
    maps: maps.filter(isOurs).map(({ id }) => id),
    links: pinnedLinks.map(({ id }) => id),
  };
}

/** Those of them that the kernel still holds. */
export async function survivors(before: KernelObjects): Promise<number> {
  const now = { programs: await objects("prog"), maps: await objects("map"), links: await objects("link") };
  const kinds = ["programs", "maps", "links"] as const;
  return kinds.flatMap((kind) => now[kind].filter(({ id }) => before[kind].includes(id))).length;
}

/** Of `bpftool -j -f prog|map|link show`; numbers are not given out twice. */
interface BpfObject {
  id: number;
  prog_id?: number;
  pinned?: string[];
}

async function objects(kind: "prog" | "map" | "link"): Promise<BpfObject[]> {
  return JSON.parse(await must(["bpftool", "--json", "--bpffs", kind, "show"])) as BpfObject[];
}

function isOurs({ pinned }: BpfObject): boolean {
  return pinned?.some((path) => path.startsWith(`${PIN_ROOT}/`)) ?? false;
}

/** `bin/portcullis ...` in the node's network namespace, on the demo's own pins. */
function portcullis(subcommand: string, ...args: string[]): string[] {
  const program = join(REPOSITORY, "bin", "portcullis");
  const place = ["--pin-root", PIN_ROOT, "--state-dir", STATE];
  return [...enter(NODE), program, subcommand, ...args, ...place];
}

/** Waits until something listens on an address of the node. @throws DemoSetupError */
async function listening(address: string): Promise<void> {
  const command = [...enter(NODE), "ss", "--no-header", "--listening", "--numeric", "--tcp", "--udp"];
  const deadline = Date.now() + LISTEN_TIMEOUT_MS;
  while (!(await must(command)).includes(` ${address} `)) {
    if (Date.now() > deadline)
      throw new DemoSetupError(`nothing listens on ${address}: the demo's server did not start`);
    await sleep(LOOK_AGAIN_MS);
  }
}

function onlyOne(): Promise<Server> {
  const server = createServer();
  return new Promise((settle, fail) => {
    server.once("listening", () => settle(server));
    server.once("error", (cause) =>
      fail(new DemoSetupError("another demo is running on this machine; wait until it has ended", { cause })),
    );
    server.listen(LOCK_NAME);
  });
}
