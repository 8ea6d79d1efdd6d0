/**
 * A pod under load, while something is done to the cluster: what is allowed has to come through to the last datagram, and nothing of what is
 * not. Runs without the API server, which may be what is away.
 */
import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Node } from "../kubernetes/node.ts";
import { app, type Pod, profile } from "./objects.ts";
import { containerId } from "./scene.ts";
import { ECHO_PORTS, FORBIDDEN_PORT, type Server, SINK_PORT } from "./servers.ts";

const CONTAINER = "web";
const ALLOWED_GAP_US = "5000";
const FORBIDDEN_GAP_US = "1000";
const HOURS_MS = "36000000";
const STARTED_MS = 1_000;
/** For what is on its way. */
const ARRIVED_MS = 500;

export interface LoadResult {
  /** Datagrams of one socket of the listed program, and of one for each. */
  sent: number;
  arrived: number;
  /** Messages that came back on one connection, which lives through it all. */
  talked: number;
  /** Attempts of a program that is not listed, and what came of them. */
  attempts: number;
  forbidden: number;
}

/** What the load's program may do; no other may do anything. */
export function loadProfile(name: string, server: Server): object {
  const cidr4 = [`${server.address}/32`];
  const [port, endPort] = ECHO_PORTS;
  const protocolPorts = [
    { protocol: "udp" as const, port: SINK_PORT },
    { protocol: "tcp" as const, port, endPort },
  ];
  return profile(name, [app({ cidr4, l4: { protocolPorts } })]);
}

export class Load {
  readonly #node: Node;
  readonly #container: string;
  readonly #server: Server;
  readonly #label: string;
  readonly #programs: Process[];
  readonly #scripts: Process[];

  private constructor(node: Node, pod: Pod, server: Server, label: string) {
    this.#node = node;
    this.#container = containerId(pod, CONTAINER);
    this.#server = server;
    this.#label = label;
    const { address } = server;
    const echo = String(server.echoPort());
    const rounds = (program: string, gap: string, port: number) =>
      this.#run(program, "udp4", "rounds", HOURS_MS, gap, label, "1", address, String(port));
    this.#programs = [
      rounds("/bin/app", ALLOWED_GAP_US, SINK_PORT),
      rounds("/bin/other", FORBIDDEN_GAP_US, FORBIDDEN_PORT),
      this.#run("/bin/app", "timeout", "10000", "tcp4", "connect", address, echo, "talk", "20000", label),
    ];
    this.#scripts = [
      this.#repeat(`/bin/app udp4 sendto ${address} ${SINK_PORT} ${label}:new`),
      this.#repeat(`/bin/other udp4 sendto ${address} ${FORBIDDEN_PORT} ${label}:new`),
    ];
  }

  /** @param label what its datagrams begin with: different for each load */
  static async start(node: Node, pod: Pod, server: Server, label: string): Promise<Load> {
    const load = new Load(node, pod, server, label);
    await sleep(STARTED_MS);
    return load;
  }

  /** Ends it, and counts. @throws Error with what a program said that did not end well */
  async stop(): Promise<LoadResult> {
    this.#end("sh");
    const [newSent = 0, newAttempts = 0] = await Promise.all(this.#scripts.map((script) => script.count()));
    this.#end("app");
    this.#end("other");
    const counts = this.#programs.map((program) => program.count());
    const [sent = 0, attempts = 0, talked = 0] = await Promise.all(counts);
    await sleep(ARRIVED_MS);
    return {
      sent: sent + newSent,
      arrived: this.#server.arrived("sink", this.#label),
      talked,
      attempts: attempts + newAttempts,
      forbidden: this.#server.arrived("forbidden", this.#label),
    };
  }

  /** A new process and a new socket each time; says how often. */
  #repeat(command: string): Process {
    const loop = `while [ -z "$ended" ]; do ${command} && n=$((n + 1)); sleep 0.1; done`;
    return this.#run("/bin/sh", "-c", `ended=; n=0; trap 'ended=1' TERM; ${loop}; echo $n`);
  }

  #run(...command: string[]): Process {
    return new Process(command.join(" "), this.#node.spawn(this.#container, ...command));
  }

  #end(name: string): void {
    this.#node.exec(this.#container, "/bin/killall", "-TERM", name);
  }
}

/** A program in the container whose last line is a count. */
class Process {
  readonly #ended: Promise<number>;

  constructor(what: string, child: ChildProcess) {
    let [said, complaints] = ["", ""];
    child.stdout?.on("data", (data) => {
      said += data;
    });
    child.stderr?.on("data", (data) => {
      complaints += data;
    });
    this.#ended = new Promise((settle, fail) => {
      child.on("close", (status) => {
        if (status === 0) settle(Number(said.trim().split("\n").at(-1)));
        else fail(new Error(`exit status ${status} of ${what}: ${complaints}${said}`));
      });
    });
    // It may fail long before somebody asks for the count.
    this.#ended.catch(() => {});
  }

  count(): Promise<number> {
    return this.#ended;
  }
}
