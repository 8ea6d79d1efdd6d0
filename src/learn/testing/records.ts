/** Records for tests, as an agent writes them. */
import type { Direction } from "../../api/reasons.ts";
import type { ProcessReference, VerdictEvent } from "../../flow/record.ts";
import { Recording } from "../recording.ts";

export const RESOLVER = "10.96.0.10";

interface Happening extends Partial<Pick<VerdictEvent, "time" | "verdict" | "count" | "application" | "dns">> {
  replica?: string;
  labels?: Record<string, string>;
  process?: Partial<ProcessReference> | null;
  direction?: Direction;
  proto?: string;
  peer?: string;
  port?: number;
  name?: string;
}

/** A conversation that began: by default `/bin/app` connects to port 443. */
export function flow(happening: Happening): VerdictEvent {
  const { replica = "web-1", labels = { app: "web" }, direction = "egress", proto = "tcp", name, port } = happening;
  const { process = { path: "/bin/app" }, peer = "203.0.113.5" } = happening;
  const hasPorts = ["tcp", "udp", "sctp"].includes(proto);
  const local = { ip: "10.0.0.2", ...(hasPorts ? { port: direction === "egress" ? 40_000 : (port ?? 443) } : {}) };
  const remote = {
    ip: peer,
    ...(hasPorts ? { port: direction === "egress" ? (port ?? 443) : 40_000 } : {}),
    ...(name === undefined ? {} : { name }),
  };
  const { time = "2026-01-02T03:04:05.000Z", verdict = "allowed", count = 1, application, dns } = happening;
  return {
    ...{ time, type: "verdict", verdict, reason: verdict === "allowed" ? "Allowed" : "Peer", direction, proto, count },
    workload: { name: replica, namespace: "default", labels },
    profiles: [],
    process: process === null ? null : { pid: 7, ...process },
    src: direction === "egress" ? local : remote,
    dst: direction === "egress" ? remote : local,
    ...(application === undefined ? {} : { application }),
    ...(dns === undefined ? {} : { dns }),
  };
}

/** A question to the resolver. */
export function question(name: string, happening: Happening = {}): VerdictEvent {
  const asked = { proto: "udp", peer: RESOLVER, port: 53, application: "dns", dns: { name, type: "A" } };
  return { ...flow({ ...asked, ...happening }), type: "dns" };
}

/** A question, and a conversation with what it led to. */
export function visit(name: string, happening: Happening = {}): VerdictEvent[] {
  const { peer, port, proto, ...who } = happening;
  return [question(name, who), flow({ ...happening, name })];
}

export function recordingOf(records: readonly VerdictEvent[]): Recording {
  const recording = new Recording();
  for (const record of records) recording.add(record);
  return recording;
}
