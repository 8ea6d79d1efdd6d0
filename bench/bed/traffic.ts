/** The program that makes traffic and takes its time (traffic/traffic.c), as an object. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { BenchError } from "../errors.ts";
import { namespaceFile } from "./network.ts";

/** The executable that profiles have to name. `make bench` builds it. */
export const TRAFFIC = fileURLToPath(new URL("../../build/bench/traffic", import.meta.url));

/** A way from a workload to a peer; see traffic/traffic.c. */
export interface Lane {
  id: number;
}

export interface LaneOptions {
  /** Names of network namespaces. */
  client: string;
  server: string;
  address: string;
}

/** Three ports for each lane from here on. */
const FIRST_PORT = 7000;
const PORTS_PER_LANE = 10;
/** What all lanes use. */
export const LANE_PORTS = { port: FIRST_PORT, endPort: FIRST_PORT + 64 * PORTS_PER_LANE };

/** As many addresses as first packets may go to (traffic/traffic.c). */
const ALL_ADDRESSES = 5_000_000;

export class Traffic implements Disposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;
  readonly #servers: ChildProcess[] = [];
  #lanes = 0;

  constructor() {
    if (!existsSync(TRAFFIC)) throw new BenchError(`${TRAFFIC} is not there; run: make bench`);
    this.#child = spawn(TRAFFIC, ["client"], { stdio: ["pipe", "pipe", "inherit"] });
    // Writing to one that has ended fails; that it has ended shows, and is reported, where its answer is awaited.
    this.#child.stdin?.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  async openLane({ client, server, address }: LaneOptions): Promise<Lane> {
    const id = this.#lanes++;
    const port = FIRST_PORT + PORTS_PER_LANE * id;
    await this.#ask(`lane ${id} ${namespaceFile(client)} ${namespaceFile(server)} ${address} ${port}`);
    return { id };
  }

  /** Nanoseconds per packet, on one UDP flow; `trips` there and back. */
  async udp({ id }: Lane, trips: number): Promise<number> {
    return Number(await this.#ask(`udp ${id} ${trips}`)) / (2 * trips);
  }

  /** Nanoseconds per segment, on one TCP connection, small segments. */
  async tcp({ id }: Lane, trips: number): Promise<number> {
    return Number(await this.#ask(`tcp ${id} ${trips}`)) / (2 * trips);
  }

  /** Nanoseconds per mebibyte. @param cpus 1: one sends and receives in turns; 2: one sends, the other receives */
  async bulk({ id }: Lane, mebibytes: number, cpus: 1 | 2): Promise<number> {
    return Number(await this.#ask(`bulk ${id} ${mebibytes * 1024 * 1024} ${cpus}`)) / mebibytes;
  }

  /** Nanoseconds per packet, each of which begins a flow, to one of so many addresses. */
  async first({ id }: Lane, packets: number, addresses = ALL_ADDRESSES): Promise<number> {
    return Number(await this.#ask(`first ${id} ${packets} ${addresses} 0`)) / packets;
  }

  /** As `first`, at a steady rate; resolves to the packets per second that came of it. */
  async flood({ id }: Lane, packets: number, perSecond: number): Promise<number> {
    const taken = Number(await this.#ask(`first ${id} ${packets} ${ALL_ADDRESSES} ${Math.round(1e9 / perSecond)}`));
    return (packets * 1e9) / taken;
  }

  /** Nanoseconds that each of `count` DNS questions took. @param fresh no name is asked twice */
  async dns({ id }: Lane, count: number, domain: string, fresh: boolean): Promise<number[]> {
    const answer = await this.#ask(`dns ${id} ${count} ${domain} ${fresh ? "fresh" : "same"}`);
    return answer.trim().split(" ").map(Number);
  }

  /** Answers all DNS questions in a namespace from now on. */
  async serveDns(namespace: string): Promise<void> {
    const server = spawn(TRAFFIC, ["dns", namespaceFile(namespace)], { stdio: ["ignore", "pipe", "inherit"] });
    this.#servers.push(server);
    await once(server.stdout, "data");
  }

  [Symbol.dispose](): void {
    for (const child of [this.#child, ...this.#servers]) child.kill("SIGKILL");
    this.#lines.close();
  }

  async #ask(command: string): Promise<string> {
    this.#child.stdin?.write(`${command}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new BenchError(`the traffic program ended at: ${command}`);
    return value as string;
  }
}
