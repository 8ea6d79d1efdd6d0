/** For tests: an operator as a program of its own, with the memory that its container has, on a made-up cluster. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../kube/testing/silence.ts";
import { TestAgent, type TestAgentOptions } from "./agent.ts";
import type { TestCluster } from "./cluster.ts";

/** Of this checkout, or of another one that is to be compared. */
const PROGRAM = process.env.PORTCULLIS_TEST_PROGRAM ?? join(import.meta.dirname, "../../../bin/portcullis");
/** What Node takes of a container's 1 GiB, the chart's limit. */
const HEAP_MIB = 512;
const START_MS = 30_000;

export class OperatorProcess {
  readonly #folder: string;
  readonly #child: ChildProcess;
  /** Of 127.0.0.1. */
  readonly ports: { agents: number; metrics: number };
  readonly #agents: TestAgent[] = [];
  /** What it said on standard error. */
  output = "";

  private constructor(folder: string, child: ChildProcess, ports: { agents: number; metrics: number }) {
    this.#folder = folder;
    this.#child = child;
    this.ports = ports;
    child.stderr?.on("data", (text) => {
      this.output += String(text);
    });
  }

  static async start(cluster: TestCluster, ...args: string[]): Promise<OperatorProcess> {
    const folder = mkdtempSync(join(tmpdir(), "portcullis-operator-"));
    const kubeconfig = join(folder, "kubeconfig");
    writeFileSync(kubeconfig, kubeconfigOf(cluster.server.url));
    const ports = { agents: await freePort(), metrics: await freePort() };
    const child = spawn(
      "nice",
      [
        // What else the machine does is not to be measured. Where that is not allowed, nice says so and goes on.
        ...["-n", "-15", PROGRAM],
        "operator",
        "--insecure",
        `--kubeconfig=${kubeconfig}`,
        `--listen-address=127.0.0.1:${ports.agents}`,
        `--advertise-address=127.0.0.1:${ports.agents}`,
        `--metrics-address=127.0.0.1:${ports.metrics}`,
        "--log-level=warn",
        ...args,
      ],
      {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}`, NODE_TEST_CONTEXT: "" },
      },
    );
    const operator = new OperatorProcess(folder, child, ports);
    let leads = false;
    const looks = setInterval(() => {
      void operator.metric("portcullis_operator_leader").then((value) => {
        leads = value === 1;
      });
    }, 100);
    try {
      await eventually("the operator leads", () => leads || operator.hasEnded, START_MS);
    } catch (cause) {
      await operator.stop();
      throw new Error(`the operator does not lead: ${operator.output.slice(-2_000)}`, { cause });
    } finally {
      clearInterval(looks);
    }
    if (operator.hasEnded) throw new Error(`the operator has ended: ${operator.output}`);
    return operator;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  agent(node: string, more: Partial<TestAgentOptions> = {}): TestAgent {
    const address = `127.0.0.1:${this.ports.agents}`;
    const agent = new TestAgent({ address, node, token: `agent-on-${node}`, ...more });
    this.#agents.push(agent);
    return agent.connect();
  }

  /** A metric without labels, or with just these; null where it cannot be read. */
  async metric(name: string): Promise<number | null> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.ports.metrics}/metrics`, {
        signal: AbortSignal.timeout(5_000),
      });
      const line = (await answer.text()).split("\n").find((text) => text.startsWith(`${name} `));
      return line === undefined ? null : Number(line.slice(name.length + 1));
    } catch {
      return null;
    }
  }

  /** 99 of 100 turns of the main thread's event loop began this late at most, in milliseconds, since the last call. */
  async eventLoopDelay(): Promise<number> {
    const seconds = await this.metric("portcullis_nodejs_eventloop_lag_p99_seconds");
    return seconds === null ? Number.POSITIVE_INFINITY : seconds * 1000;
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents) agent.disconnect();
    if (!this.hasEnded) {
      const gone = new Promise((settle) => this.#child.once("exit", settle));
      this.#child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "test", user: {} }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
}

function freePort(): Promise<number> {
  return new Promise((settle) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => settle(port));
    });
  });
}
