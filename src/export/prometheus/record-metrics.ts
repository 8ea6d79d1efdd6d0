/** Counts records as metrics. No label has a name that users choose: there are as many series as the closed lists allow. */
import { DNS_RCODE_NAMES, DNS_TYPE_NAMES } from "../../flow/protocols.ts";
import { type AgentEvent, type FlowEvent, isVerdict, type VerdictEvent } from "../../flow/record.ts";
import type { MetricsOf } from "../../telemetry/metrics.ts";
import type { RECORD_METRICS } from "../../telemetry/record-metrics.ts";
import type { EventSink } from "../sink.ts";

const OTHER = "~other";
const PROTOCOLS: ReadonlySet<string> = new Set(["tcp", "udp", "icmp", "icmpv6", "sctp"]);
const QTYPES: ReadonlySet<string> = new Set(DNS_TYPE_NAMES);
const RCODES: ReadonlySet<string> = new Set(DNS_RCODE_NAMES);
const NS_PER_S = 1e9;

export class RecordMetrics implements EventSink {
  readonly #metrics: MetricsOf<typeof RECORD_METRICS>;

  constructor(metrics: MetricsOf<typeof RECORD_METRICS>) {
    this.#metrics = metrics;
  }

  write(event: AgentEvent): void {
    if (event.type === "flow") this.#flow(event);
    else if (isVerdict(event)) this.#verdict(event);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  #verdict({ type, verdict, direction, proto, reason, dns, count }: VerdictEvent): void {
    if (verdict === "dropped") this.#metrics.drops.inc({ direction, protocol: oneOf(PROTOCOLS, proto), reason }, count);
    if (type !== "dns" || dns === undefined) return;
    const qtype = oneOf(QTYPES, dns.type);
    if (dns.rcode === undefined) this.#metrics.dnsQueries.inc({ qtype }, count);
    else this.#metrics.dnsResponses.inc({ qtype, rcode: oneOf(RCODES, dns.rcode) }, count);
  }

  /** Only at its end: what records of a flow say of it before is in the last one, too. */
  #flow(flow: FlowEvent): void {
    if (flow.state !== "end") return;
    const { direction, verdict, end, durationNs, bytes, packets, firstPayloadNs } = flow;
    const protocol = oneOf(PROTOCOLS, flow.proto);
    this.#metrics.flows.inc({ direction, protocol, verdict });
    for (const way of ["sent", "received"] as const) {
      this.#metrics.flowBytes.inc({ protocol, way }, bytes[way]);
      this.#metrics.flowPackets.inc({ protocol, way }, packets[way]);
    }
    this.#metrics.flowSeconds.observe({ protocol }, durationNs / NS_PER_S);
    if (protocol !== "tcp") return;
    if (end !== undefined) this.#metrics.tcpEnded.inc({ end });
    const [asked, answered] =
      direction === "egress"
        ? [firstPayloadNs?.sent, firstPayloadNs?.received]
        : [firstPayloadNs?.received, firstPayloadNs?.sent];
    if (asked === undefined || answered === undefined || answered < asked) return;
    this.#metrics.tcpReplySeconds.observe((answered - asked) / NS_PER_S);
  }
}

function oneOf(list: ReadonlySet<string>, value: string): string {
  return list.has(value) ? value : OTHER;
}
