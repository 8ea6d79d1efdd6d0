/**
 * What the network reaches: the agents' stream, what the operator sends to agents, the observe endpoint, heads of HTTP, and hellos of TLS.
 * Each takes one random input, and says what is wrong where something is.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import tls from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Ajv } from "ajv";
import { PortcullisError } from "../../src/api/errors.ts";
import { STATUS_SCHEMA } from "../../src/api/schema/schema-status.ts";
import { type Endpoints, serveEndpoints } from "../../src/endpoints/endpoints.ts";
import {
  AgentMessageSchema,
  HelloSchema,
  type OperatorMessage,
  OperatorMessageSchema,
  type State,
} from "../../src/gen/agent_pb.js";
import { TelemetryReportSchema } from "../../src/gen/telemetry_pb.js";
import { eventually, silentLogger } from "../../src/kube/testing/silence.ts";
import { ObserveServer } from "../../src/operator/observe/server.ts";
import type { Operator } from "../../src/operator/operator.ts";
import type { TestAgent } from "../../src/operator/testing/agent.ts";
import { TestCluster } from "../../src/operator/testing/cluster.ts";
import type { Random } from "../../src/policy/testing/random.ts";
import { HeldState, StateParts } from "../../src/protocol/held-state.ts";
import { checkOperatorMessage } from "../../src/protocol/message-checks.ts";
import { OBSERVE_PATH } from "../../src/protocol/observe.ts";
import { DISTRIBUTION_SERVICE, TELEMETRY_SERVICE } from "../../src/protocol/service.ts";
import { mutated, randomMessage } from "./random-message.ts";

const nothing = () => {};
const SOURCES = 200;
/** Of an agent that comes back again and again; the honest one has another. */
const NODES = 256;

export class Targets {
  readonly cluster: TestCluster;
  readonly operator: Operator;
  readonly honest: TestAgent;
  readonly #endpoints: Endpoints;
  readonly #secure: ObserveServer;
  readonly #folder: string;
  readonly #isStatus = new Ajv({ strict: false, formats: { int64: true, "date-time": true } }).compile(STATUS_SCHEMA);
  #sources = 0;

  private constructor(parts: {
    cluster: TestCluster;
    operator: Operator;
    honest: TestAgent;
    endpoints: Endpoints;
    secure: ObserveServer;
    folder: string;
  }) {
    ({ cluster: this.cluster, operator: this.operator, honest: this.honest } = parts);
    this.#endpoints = parts.endpoints;
    this.#secure = parts.secure;
    this.#folder = parts.folder;
  }

  static async start(): Promise<Targets> {
    const cluster = await TestCluster.start();
    cluster.pod("web", { node: "n0" });
    cluster.pod("web-2", { node: "honest", labels: { app: "web" } });
    cluster.profile("web", { actions: ["alert"], processes: [{ path: "/bin/app" }] });
    const operator = await cluster.operator();
    const honest = cluster.agent(operator, "honest");
    await eventually("an honest agent has its state", () => honest.states.length > 0);
    const endpoints = await serveEndpoints({
      probeAddress: "127.0.0.1:0",
      metricsAddress: "127.0.0.1:0",
      registry: operator.telemetry.registry,
      ready: () => operator.problems,
      mayRead: async (token) => token === "good",
      log: silentLogger(),
    });
    const folder = mkdtempSync(join(tmpdir(), "fuzz-protocol-"));
    const secure = await secureServer(folder, operator);
    return new Targets({ cluster, operator, honest, endpoints, secure, folder });
  }

  async close(): Promise<void> {
    await this.#secure.close();
    await this.#endpoints.close();
    await this.cluster.close();
    rmSync(this.#folder, { recursive: true });
  }

  /** What has to hold after any input. @returns what does not; null: all is well */
  async trouble(): Promise<string | null> {
    if (!this.operator.isLeader) return "the operator does not lead any more";
    if (this.honest.ended !== null) return `the honest agent was cut off: ${this.honest.ended.details}`;
    const status = this.cluster.status("web");
    if (status !== undefined && !this.#isStatus(status))
      return `a status is not valid: ${JSON.stringify(this.#isStatus.errors)}`;
    const answer = await fetch(`http://127.0.0.1:${this.#endpoints.probePort}/healthz`, {
      headers: { connection: "close" },
    });
    await answer.text();
    return answer.ok ? null : `the probe says ${answer.status}`;
  }

  /** A stream of an agent, of one of many nodes, so that limits of one leave something to look at: a proper hello mostly, then messages of all kinds, some of them damaged, and telemetry beside them. */
  async agentStream(random: Random): Promise<void> {
    const socket = this.#connect(this.operator.server.port);
    const node = `n${this.#sources % NODES}`;
    const client = http2.connect("http://operator", { createConnection: () => socket });
    client.on("error", nothing);
    const request = client.request({
      ":method": "POST",
      ":path": DISTRIBUTION_SERVICE.connect.path,
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer agent-on-${node}`,
    });
    request.on("error", nothing);
    // The answer is the operator's welcome, after which it takes telemetry.
    if (random.chance(0.5)) request.once("data", () => this.#telemetry(random, client));
    request.resume();
    if (random.chance(0.95)) request.write(framed(hello(node)));
    for (let count = 1 + random.below(8); count > 0 && !request.destroyed; count -= 1) {
      const bytes = toBinary(AgentMessageSchema, randomMessage(random, AgentMessageSchema));
      request.write(framed(random.chance(0.6) ? bytes : mutated(random, bytes)));
    }
    await Promise.race([once(request, "close"), wait(20)]).catch(nothing);
    client.destroy();
  }

  #telemetry(random: Random, client: http2.ClientHttp2Session): void {
    const request = client.request({
      ":method": "POST",
      ":path": TELEMETRY_SERVICE.report.path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    request.on("error", nothing);
    request.resume();
    for (let count = 1 + random.below(8); count > 0 && !request.destroyed; count -= 1) {
      const bytes = toBinary(TelemetryReportSchema, randomMessage(random, TelemetryReportSchema));
      request.write(framed(random.chance(0.6) ? bytes : mutated(random, bytes)));
    }
  }

  /** What an agent makes of what the operator sends: errors of ours are caught where it comes in, others are faults. */
  async operatorMessage(random: Random): Promise<void> {
    const bytes = toBinary(OperatorMessageSchema, randomMessage(random, OperatorMessageSchema));
    const message = decoded(random.chance(0.6) ? bytes : mutated(random, bytes));
    if (message === null) return;
    try {
      checkOperatorMessage(message);
      if (message.message.case !== "state") return;
      const parts = new StateParts().add({ ...message.message.value, more: false } as State);
      HeldState.EMPTY.applied(parts ?? []);
    } catch (cause) {
      if (!(cause instanceof PortcullisError)) throw cause;
    }
  }

  /** A request of an observer, whole or damaged. */
  async observeRequest(random: Random): Promise<void> {
    const fields = {
      token: random.pick(["observer", "", "x".repeat(random.below(20_000)), 5]),
      namespace: random.pick(["default", "other", "", null, "../default"]),
      pod: random.pick(["web", "none", {}, "x".repeat(5_000)]),
      verdicts: random.pick<unknown>([["dropped"], [], "dropped", ["__proto__"], Array(5_000).fill("dropped")]),
      rate: random.pick<unknown>([1, 0, -1, 1e308, "1", null]),
      ...(random.chance(0.2) ? { ["__proto__"]: 1, process: "[".repeat(random.below(2_000)) } : {}),
    };
    const body = Buffer.from(random.chance(0.1) ? "[".repeat(10_000) : JSON.stringify(fields));
    const sent = random.chance(0.7) ? body : mutated(random, body);
    const length = random.chance(0.8) ? sent.length : random.pick([0, 1e9, -1, sent.length + 10]);
    const head = `POST ${OBSERVE_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;
    await this.#raw(this.operator.observeServer?.port ?? 0, Buffer.concat([Buffer.from(head), sent]));
  }

  /** A head of a request, to any of the listeners. */
  async httpHead(random: Random): Promise<void> {
    const lines = [
      `${random.pick(["GET", "POST", "BREW", "", "PRI"])} ${random.pick(["/metrics", "/healthz", "//", "http://[", "*", "/%", OBSERVE_PATH])} HTTP/${random.pick(["1.1", "1.0", "9", ""])}`,
      "host: x",
      `authorization: Bearer ${random.pick(["good", "bad", "", "x".repeat(9_000)])}`,
      `content-length: ${random.pick(["0", "5", "-5", "5, 6", "99999999999999999999"])}`,
      random.pick([
        "transfer-encoding: chunked",
        "expect: 100-continue",
        "upgrade: h2c",
        "connection: close",
        ": x",
        "\u0000",
      ]),
      ...Array.from({ length: random.below(100) }, (_, index) => `x-${index}: ${"y".repeat(random.below(300))}`),
    ];
    const head = Buffer.from(`${lines.filter(() => random.chance(0.85)).join("\r\n")}\r\n\r\n`);
    const { probePort, metricsPort } = this.#endpoints;
    const port = random.pick([
      probePort,
      metricsPort,
      this.operator.observeServer?.port ?? 0,
      this.operator.server.port,
    ]);
    await this.#raw(port, random.chance(0.5) ? head : mutated(random, head));
  }

  /** A hello of TLS, as a client sends it, damaged. */
  async tlsHello(random: Random): Promise<void> {
    const hello = await clientHello(random.pick([undefined, "x".repeat(200), "operator"]));
    await this.#raw(this.#secure.port, random.chance(0.1) ? hello : mutated(random, hello));
  }

  async #raw(port: number, bytes: Buffer): Promise<void> {
    const socket = this.#connect(port);
    socket.write(bytes);
    await Promise.race([once(socket, "close"), wait(10)]).catch(nothing);
    socket.destroy();
  }

  /** From many addresses, so that limits of one peer leave something to look at. */
  #connect(port: number): net.Socket {
    this.#sources += 1;
    const socket = net.connect({ port, host: "127.0.0.1", localAddress: `127.0.1.${1 + (this.#sources % SOURCES)}` });
    socket.on("error", nothing);
    socket.resume();
    return socket;
  }
}

function hello(nodeName: string): Uint8Array {
  return toBinary(
    AgentMessageSchema,
    create(AgentMessageSchema, {
      message: {
        case: "hello",
        value: create(HelloSchema, { protocol: 1, version: "fuzz", nodeName, instance: "fuzz" }),
      },
    }),
  );
}

/** Null: it is no message, which ends a stream before anybody looks at it. */
function decoded(bytes: Uint8Array): OperatorMessage | null {
  try {
    return fromBinary(OperatorMessageSchema, bytes);
  } catch {
    return null;
  }
}

/** As gRPC frames a message: not compressed, and its length. */
function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** The first bytes that Node's own client sends. */
async function clientHello(servername: string | undefined): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const server = net.createServer((socket) => socket.on("error", nothing).once("data", resolve));
  await new Promise<void>((settle) => server.listen(0, "127.0.0.1", settle));
  const { port } = server.address() as net.AddressInfo;
  const client = tls.connect({ port, host: "127.0.0.1", ...(servername === undefined ? {} : { servername }) });
  client.on("error", nothing);
  const hello = await promise;
  client.destroy();
  server.close();
  return hello;
}

async function secureServer(folder: string, operator: Operator): Promise<ObserveServer> {
  const [certificateFile, keyFile] = [join(folder, "tls.crt"), join(folder, "tls.key")];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", keyFile];
  execFileSync("openssl", ["req", "-x509", ...key, "-out", certificateFile, "-days", "1", "-subj", "/CN=operator"], {
    stdio: "ignore",
  });
  const server = new ObserveServer({
    address: "127.0.0.1:0",
    tls: { certificateFile, keyFile },
    hub: operator.observers,
    access: { authenticate: () => Promise.reject(new Error("nobody")), authorize: async () => {} },
    notServing: () => null,
    onRequest: nothing,
    log: silentLogger(),
  });
  await server.listen();
  return server;
}
