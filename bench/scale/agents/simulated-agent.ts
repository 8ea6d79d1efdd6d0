/** An agent without a kernel: the real client, with the real reports, of pods that are all as they should be. */
import { create } from "@bufbuild/protobuf";
import { type Binding, PodPhase, type PodState, PodStateSchema, PolicyKind } from "../../../src/gen/agent_pb.js";
import { OperatorClient } from "../../../src/node-agent/uplink/operator-client.ts";
import { RecordSubscriptions } from "../../../src/node-agent/uplink/record-subscriptions.ts";
import { CounterReport } from "../../../src/node-agent/uplink/reports/counter-report.ts";
import { Reporter } from "../../../src/node-agent/uplink/reports/reporter.ts";
import { ViolationQueue } from "../../../src/node-agent/uplink/reports/violation-queue.ts";
import { TelemetryClient } from "../../../src/node-agent/uplink/telemetry-client.ts";
import { HeldState } from "../../../src/protocol/held-state.ts";
import type { Logger } from "../../../src/telemetry/logger.ts";
import { moment } from "./agent-messages.ts";

export interface SimulatedAgentOptions {
  node: string;
  target: string;
  authority: string;
  tokenFile: string;
  log: Logger;
  /** A revision is kept, and acknowledged. */
  onTaken: (agent: SimulatedAgent) => void;
}

/** Packets of each table on each look. */
const PACKETS = 10;

export class SimulatedAgent {
  readonly node: string;
  held = HeldState.EMPTY;
  /** When its connection was lost, the next one was good, and the first revision on it was taken; 0: not (yet). */
  lost = 0;
  connected = 0;
  taken = 0;
  isBusy = false;
  readonly #client: OperatorClient;
  #packets = 0;

  constructor({ node, target, authority, tokenFile, log, onTaken }: SimulatedAgentOptions) {
    this.node = node;
    const counters = new CounterReport({ read: () => this.#count(), eventsLost: () => 0 });
    const reporter = new Reporter({ counters });
    const subscriptions = new RecordSubscriptions({ onAllowedWanted: () => {} });
    this.#client = new OperatorClient({
      address: { target, serverName: "localhost", caFile: authority, tokenFile },
      nodeName: node,
      version: "simulated",
      searchDomains: [],
      reporter,
      telemetry: new TelemetryClient({ violations: new ViolationQueue(), subscriptions, log }),
      held: () => this.held,
      onRevision: (state) => {
        this.held = state;
        reporter.setPods(podStates(state));
        // The acknowledgement is written right after this.
        queueMicrotask(() => {
          if (this.taken === 0) this.taken = moment();
          onTaken(this);
        });
      },
      onConnection: (state) => this.#connection(state),
      log,
    });
  }

  get isConnected(): boolean {
    return this.#client.state === "connected";
  }

  /** From now on the next connection counts. */
  forgetConnection(): void {
    this.lost = 0;
    this.connected = 0;
    this.taken = 0;
  }

  #connection(state: string): void {
    if (state === "connected") this.connected = moment();
    if (state === "waiting" && this.lost === 0) {
      this.lost = moment();
      this.connected = 0;
      this.taken = 0;
    }
  }

  /** As the kernel's counters would be read. */
  #count() {
    if (this.isBusy) this.#packets += PACKETS;
    return [...this.held.tables.values()].flatMap(({ profiles }) =>
      profiles.map((profile) => ({
        key: profile,
        packets: this.#packets,
        direction: "egress",
        verdict: "allowed",
        reason: "Allowed",
        subjects: [{ profile, path: "/usr/local/bin/server", container: "" }],
      })),
    );
  }
}

function podStates(state: HeldState): Map<string, PodState> {
  return new Map([...state.bindings].map(([uid, binding]) => [uid, podState(binding)]));
}

function podState({ podUid, policy, tableHash }: Binding): PodState {
  const phase = policy === PolicyKind.TABLE ? PodPhase.ENFORCED : PodPhase.UNRESTRICTED;
  return create(PodStateSchema, { podUid, tableHash, phase, searchDomainsKnown: false });
}
