/** Metrics of what an agent records: DNS, drops, flows and TCP. Labels are of closed lists; what is of none of them is `~other`. */
import type { MetricCatalogue } from "./metrics.ts";

const SECONDS = [0.001, 0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 60, 300, 3600];

export const RECORD_METRICS = {
  dnsQueries: {
    type: "counter",
    name: "portcullis_dns_queries_total",
    help: "Questions of pods whose profiles have trace-dns, by type of record (A, AAAA, ...; other types are ~other).",
    labels: ["qtype"],
  },
  dnsResponses: {
    type: "counter",
    name: "portcullis_dns_responses_total",
    help: "Answers to pods whose profiles have trace-dns, by type of record and code (NOERROR, NXDOMAIN, ...).",
    labels: ["qtype", "rcode"],
  },
  drops: {
    type: "counter",
    name: "portcullis_drop_packets_total",
    help: "Dropped packets, by direction, protocol (tcp, udp, icmp, icmpv6, sctp; others are ~other) and reason, as events tell of them.",
    labels: ["direction", "protocol", "reason"],
  },
  flows: {
    type: "counter",
    name: "portcullis_flow_ended_total",
    help: "Flows that have ended, by direction, protocol and verdict.",
    labels: ["direction", "protocol", "verdict"],
  },
  flowBytes: {
    type: "counter",
    name: "portcullis_flow_bytes_total",
    help: "Bytes that pods have sent and received (way), by protocol; counted when the flow ends.",
    labels: ["protocol", "way"],
  },
  flowPackets: {
    type: "counter",
    name: "portcullis_flow_packets_total",
    help: "Packets that pods have sent and received (way), by protocol; counted when the flow ends.",
    labels: ["protocol", "way"],
  },
  flowSeconds: {
    type: "histogram",
    name: "portcullis_flow_duration_seconds",
    help: "Time from a flow's first packet to its last, by protocol.",
    labels: ["protocol"],
    buckets: SECONDS,
  },
  tcpEnded: {
    type: "counter",
    name: "portcullis_tcp_connections_ended_total",
    help: "TCP connections that have ended, by how (closed, reset, idle, replaced, evicted, removed).",
    labels: ["end"],
  },
  tcpReplySeconds: {
    type: "histogram",
    name: "portcullis_tcp_first_reply_seconds",
    help: "Time from the first bytes of a TCP connection's beginner to the first bytes of the other end.",
    labels: [],
    buckets: SECONDS,
  },
} as const satisfies MetricCatalogue;
