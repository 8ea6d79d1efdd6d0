/** The server that agents connect to. Only the leader serves them; the others say who leads. */
import net from "node:net";
import {
  experimental,
  status as GrpcStatus,
  Metadata,
  Server,
  ServerCredentials,
  type UntypedHandleCall,
} from "@grpc/grpc-js";
import { causeText } from "../../api/errors.ts";
import { ListenError, parseListenAddress } from "../../endpoints/endpoints.ts";
import type { Observations, Subscriptions } from "../../gen/telemetry_pb.js";
import { CertificateFiles } from "../../net/certificate-files.ts";
import { confine } from "../../net/confine.ts";
import { ConnectionLimits, type DropReason } from "../../net/connection-limits.ts";
import {
  DISTRIBUTION_SERVICE,
  HEARTBEAT_MS,
  KEEPALIVE_TIMEOUT_MS,
  LEADER_METADATA,
  MAX_AGENT_MESSAGE_BYTES,
  MAX_MESSAGE_BYTES,
  TELEMETRY_SERVICE,
} from "../../protocol/service.ts";
import type { NodeState } from "../../protocol/state-message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { TokenBucket } from "../../timing/token-bucket.ts";
import { TokenBuckets } from "../../timing/token-buckets.ts";
import { AGENT_GRACE_MS, type AgentRecords } from "./agent-records.ts";
import { type AuthenticationOptions, authenticate, StreamRefusal } from "./authentication.ts";
import { ReviewQueue } from "./review-queue.ts";
import { Semaphore } from "./semaphore.ts";
import { type AgentStream, Session, type SessionMeter } from "./session.ts";
import { TelemetrySession, type TelemetryStream } from "./telemetry-session.ts";

/** An agent that sends telemetry. */
export interface ObservableAgent {
  /** Says what is observed on its node. */
  subscribe(subscriptions: Subscriptions): void;
}

/** Who observes pods, through their nodes' agents. */
export interface AgentObservers {
  /** An agent sends telemetry from now on. Nothing is observed on its node yet. */
  connected(node: string, agent: ObservableAgent): void;
  disconnected(node: string): void;
  observed(node: string, observations: Observations): void;
}

export interface DistributionMeter extends SessionMeter {
  connection(result: "accepted" | "unauthenticated" | "denied" | "not_leader" | "busy" | "failed"): void;
}

export interface DistributionOptions {
  version: string;
  /** host:port to listen on; port 0 takes any. */
  address: string;
  /** PEM files; read again when they change. Null: no encryption, for tests on one machine. */
  tls: { certificateFile: string; keyFile: string } | null;
  authentication: AuthenticationOptions;
  /** Null while this replica may serve agents; else why not, and where the leader is, if that is known. */
  notServing: () => { message: string; leader: string } | null;
  records: AgentRecords;
  observers: AgentObservers;
  wanted: (node: string) => NodeState;
  isPlanning: () => boolean;
  /** How many nodes there are that should have an agent. */
  nodes: () => number;
  meter: DistributionMeter;
  /** A connection was not taken, or ended again. */
  onDropped?: (reason: DropReason) => void;
  log: Logger;
}

/** Agents connect anew about this often, with fresh tokens. */
const CONNECTION_AGE_MS = 30 * 60_000;
const CONNECTION_GRACE_MS = 5_000;
/** What was said last to agents has been sent by then. */
const CLOSING_MS = 1_000;

/** After a start all agents come at once. What they are sent first would take up memory for all of them together. */
const FULL_STATES = 32;
const FULL_STATE_MS = 1_000;
/** Until an agent has shown its token it is anybody; nodes may share an address behind a load balancer. */
const CONNECTIONS = {
  unauthenticated: 512,
  unauthenticatedByPeer: 64,
  burst: 64,
  perSecond: 10,
  patience: 20_000,
  // A token, and what HTTP/2 lets through of the first message before somebody reads it: 64 KiB (RFC 9113, section 6.9.2).
  bytes: 128 * 1024,
};
/** Streams of one node with a good token: so many at once, and so many a second. An agent that comes back waits longer each time. */
const ARRIVALS = { burst: 20, perSecond: 0.5 };
/** The streams of telemetry that a node may open: so many at once, and so many a second. */
const TELEMETRY_ARRIVALS = { burst: 10, perSecond: 0.5 };
/** Milliseconds in a second in which the telemetry of all agents is read: the rest of this thread is for policy. */
const TELEMETRY_MS_PER_SECOND = 250;
/** An agent has two streams. What is beyond is refused by HTTP/2 itself, and a connection on which that goes on is closed. */
const STREAMS_PER_CONNECTION = 4;
/** What HTTP/2 may keep for one connection, of heads and of what waits to be sent, in megabytes. A full state is larger than most. */
const CONNECTION_MEGABYTES = 64;

export class DistributionServer {
  readonly #options: DistributionOptions;
  readonly #server: Server;
  readonly #sessions = new Map<string, Session>();
  /** By node: one that has not said hello yet. */
  readonly #waiting = new Map<string, Session>();
  readonly #arrivals = new TokenBuckets(ARRIVALS.burst, ARRIVALS.perSecond);
  /** By the peer of the connection, which has no other session. */
  readonly #peers = new Map<string, Session>();
  readonly #telemetry = new Map<Session, TelemetrySession>();
  readonly #telemetryArrivals = new TokenBuckets(TELEMETRY_ARRIVALS.burst, TELEMETRY_ARRIVALS.perSecond);
  readonly #telemetryMs = new TokenBucket(TELEMETRY_MS_PER_SECOND, TELEMETRY_MS_PER_SECOND);
  readonly #fullStates = new Semaphore(FULL_STATES, FULL_STATE_MS);
  readonly #reviews = new ReviewQueue();
  readonly #limits: ConnectionLimits;
  readonly #listener = net.createServer({ noDelay: true });
  #files: CertificateFiles | null = null;
  #port = 0;

  constructor(options: DistributionOptions) {
    this.#options = options;
    this.#server = new Server({
      "grpc.keepalive_time_ms": HEARTBEAT_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.max_receive_message_length": MAX_AGENT_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_connection_age_ms": CONNECTION_AGE_MS,
      "grpc.max_connection_age_grace_ms": CONNECTION_GRACE_MS,
      "grpc.max_concurrent_streams": STREAMS_PER_CONNECTION,
      "grpc-node.max_session_memory": CONNECTION_MEGABYTES,
    });
    const { onDropped } = options;
    this.#limits = new ConnectionLimits({ ...CONNECTIONS, ...(onDropped === undefined ? {} : { onDropped }) });
    this.#server.addService(DISTRIBUTION_SERVICE, {
      connect: ((stream: AgentStream) => this.#take(stream)) as UntypedHandleCall,
    });
    this.#server.addService(TELEMETRY_SERVICE, {
      report: ((stream: TelemetryStream) => this.#takeTelemetry(stream)) as UntypedHandleCall,
    });
  }

  get port(): number {
    return this.#port;
  }

  /** When the certificate that agents are shown ends, in milliseconds since 1970; null: there is none. */
  get certificateExpiresAt(): number | null {
    return this.#files?.expiresAt ?? null;
  }

  /** How many agents are connected. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Connections on which no agent has been let in yet. */
  get unauthenticated(): number {
    return this.#limits.unauthenticated;
  }

  /** All that are open. */
  get connections(): number {
    return this.#limits.size;
  }

  /** @throws ListenError, UnreadableError, UsageError */
  async listen(): Promise<void> {
    const { address, tls } = this.#options;
    const credentials = tls === null ? ServerCredentials.createInsecure() : this.#certificates(tls);
    const { host, port } = parseListenAddress(address);
    const injector = this.#server.createConnectionInjector(credentials);
    // Connections are ours before they are gRPC's, which takes any number of them.
    this.#listener.on("connection", (socket) => {
      if (this.#limits.admit(socket)) injector.injectConnection(socket);
    });
    await new Promise<void>((settle, fail) => {
      this.#listener.once("error", (cause) => fail(new ListenError(address, cause)));
      this.#listener.listen(port, host, settle);
    });
    this.#port = (this.#listener.address() as net.AddressInfo).port;
  }

  /** The node is to have something else. */
  notify(node: string): void {
    this.#sessions.get(node)?.notify();
  }

  /** All nodes are to have something else. */
  notifyAll(): void {
    for (const session of this.#sessions.values()) session.notify();
  }

  /** Sends all agents to the leader; this replica is it no more. */
  dismiss(): void {
    for (const session of this.#sessions.values()) session.refuse(this.#elsewhere() ?? DISMISSED);
  }

  async close(): Promise<void> {
    this.dismiss();
    this.#files?.close();
    this.#listener.close();
    // gRPC never calls back if a connection breaks just now: it asks to be told of the end of what has ended.
    await new Promise<void>((settle) => {
      const late = setTimeout(settle, CLOSING_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(late);
        settle();
      });
    });
    this.#server.forceShutdown();
    this.#limits.closeAll();
  }

  #take(stream: AgentStream): void {
    // Until there is a session, an end of the stream concerns nobody.
    stream.on("error", () => {});
    const peer = stream.getPeer();
    confine({ what: "agent", peer, end: () => stream.destroy() }, () => this.#connect(stream, peer));
  }

  async #connect(stream: AgentStream, peer: string): Promise<void> {
    const { meter, authentication, log } = this.#options;
    try {
      const elsewhere = this.#elsewhere();
      if (elsewhere !== null) throw elsewhere;
      const node = await this.#reviews.pass(peer, this.#limits.isKnown(peer), () =>
        authenticate(stream.metadata, authentication),
      );
      if (stream.cancelled) return;
      if (!this.#arrivals.of(node).take()) throw new StreamRefusal(GrpcStatus.RESOURCE_EXHAUSTED, tooOften(node));
      this.#limits.trust(peer);
      this.#accept(stream, node, peer);
    } catch (cause) {
      const refusal =
        cause instanceof StreamRefusal
          ? cause
          : new StreamRefusal(GrpcStatus.INTERNAL, `the operator failed: ${causeText(cause)}`, { cause });
      meter.connection(resultOf(refusal));
      // A flood is not to become one of lines.
      const level = refusal.status === GrpcStatus.RESOURCE_EXHAUSTED ? "debug" : "warn";
      log[level]({ peer, reason: refusal.message }, "an agent was not let in");
      const metadata = new Metadata();
      const elsewhere = this.#options.notServing();
      if (elsewhere !== null) metadata.set(LEADER_METADATA, elsewhere.leader);
      stream.emit("error", { code: refusal.status, details: refusal.message, metadata });
      this.#limits.dismiss(peer);
    }
  }

  /** Of a node one stream at a time may wait to say hello: each costs memory, and a token may be stolen. */
  #accept(stream: AgentStream, node: string, peer: string): void {
    const { version, records, wanted, isPlanning, nodes, meter, log } = this.#options;
    const session: Session = new Session(stream, {
      node,
      version,
      records,
      meter,
      wanted: () => wanted(node),
      isPlanning,
      agents: () => Math.max(nodes(), this.#sessions.size),
      fullStates: this.#fullStates,
      log,
      onHello: () => this.#enter(session, peer),
      onEnd: () => {
        // An agent has one connection, and telemetry goes with it.
        this.#limits.dismiss(peer);
        if (this.#peers.get(peer) === session) this.#peers.delete(peer);
        this.#telemetry.get(session)?.refuse(DISMISSED);
        if (this.#waiting.get(node) === session) this.#waiting.delete(node);
        if (this.#sessions.get(node) !== session) return;
        this.#sessions.delete(node);
        records.disconnect(node);
        setTimeout(() => records.overdue(node), AGENT_GRACE_MS + 100).unref();
        log.info({ node }, "an agent has gone");
      },
    });
    this.#waiting.get(node)?.refuse(replaced(node));
    this.#waiting.set(node, session);
  }

  /** The latest agent of a node is the one that counts. */
  #enter(session: Session, peer: string): void {
    const { node } = session;
    const before = this.#sessions.get(node);
    this.#waiting.delete(node);
    this.#sessions.set(node, session);
    before?.refuse(replaced(node));
    this.#peers.set(peer, session);
    this.#options.meter.connection("accepted");
    this.#options.log.info({ node, peer }, "an agent has connected");
  }

  #takeTelemetry(stream: TelemetryStream): void {
    // Until there is a session, an end of the stream concerns nobody.
    stream.on("error", () => {});
    const peer = stream.getPeer();
    confine({ what: "agent", peer, end: () => stream.destroy() }, () => this.#acceptTelemetry(stream, peer));
  }

  /** Of an agent that has said hello on the same connection, which is who it is there. */
  #acceptTelemetry(stream: TelemetryStream, peer: string): void {
    const agent = this.#peers.get(peer);
    const refusal = agent === undefined ? STRANGER : this.#telemetryRefusal(agent);
    if (agent === undefined || refusal !== null) {
      stream.emit("error", { code: refusal?.status, details: refusal?.message });
      return;
    }
    const { node } = agent;
    const { records, observers, meter, log } = this.#options;
    this.#telemetry.get(agent)?.refuse(replaced(node));
    const telemetry: TelemetrySession = new TelemetrySession(stream, {
      node,
      meter,
      log,
      milliseconds: this.#telemetryMs,
      onViolations: (violations) => records.violations(node, violations),
      onObservations: (observations) => observers.observed(node, observations),
      onEnd: () => {
        this.#telemetry.delete(agent);
        observers.disconnected(node);
      },
    });
    this.#telemetry.set(agent, telemetry);
    observers.connected(node, telemetry);
  }

  #telemetryRefusal({ node }: Session): StreamRefusal | null {
    if (this.#telemetryArrivals.of(node).take()) return null;
    return new StreamRefusal(GrpcStatus.RESOURCE_EXHAUSTED, tooOften(node));
  }

  #certificates(tls: { certificateFile: string; keyFile: string }): ServerCredentials {
    this.#files = new CertificateFiles(tls, this.#options.log);
    return experimental.createCertificateProviderServerCredentials(this.#files, this.#files, false);
  }

  #elsewhere(): StreamRefusal | null {
    const reason = this.#options.notServing();
    return reason === null ? null : new StreamRefusal(GrpcStatus.UNAVAILABLE, reason.message);
  }
}

function replaced(node: string): StreamRefusal {
  return new StreamRefusal(GrpcStatus.ABORTED, `another agent of node ${node} has connected`);
}

function tooOften(node: string): string {
  return `agents of node ${node} connect too often; connect again later`;
}

const STRANGER = new StreamRefusal(
  GrpcStatus.FAILED_PRECONDITION,
  "no agent has said hello on this connection; say hello on its stream of policy first",
);
const DISMISSED = new StreamRefusal(GrpcStatus.UNAVAILABLE, "this operator is about to end; connect again");

function resultOf({ status }: StreamRefusal): "unauthenticated" | "denied" | "not_leader" | "busy" | "failed" {
  switch (status) {
    case GrpcStatus.UNAUTHENTICATED:
      return "unauthenticated";
    case GrpcStatus.PERMISSION_DENIED:
      return "denied";
    case GrpcStatus.UNAVAILABLE:
      return "not_leader";
    case GrpcStatus.RESOURCE_EXHAUSTED:
      return "busy";
    default:
      return "failed";
  }
}
