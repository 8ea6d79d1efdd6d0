/** `portcullis explain --event`: an event of the agent's, read as the question whether its profiles allow that. */
import { UsageError } from "../../api/errors.ts";
import type { AgentEvent, VerdictEvent } from "../../flow/record.ts";
import type { Question } from "../../policy/explain/explain.ts";
import type { Traffic } from "../../policy/explain/explain-layers.ts";
import { parseIp } from "../../policy/table/addresses.ts";
import { protocolNumber } from "../../policy/table/ports.ts";
import type { Subject } from "../../policy/table/subject.ts";
import { readRecords } from "../input/records.ts";

const APPLICATIONS = ["dns", "http", "tls"] as const;

/**
 * The first verdict of a file of events, one a line. What comes behind it is not waited for: `observe` goes on without end.
 * @param path `-`: standard input
 * @throws InputError, and UsageError where no event is a verdict
 */
export async function readVerdictEvent(path: string): Promise<VerdictEvent> {
  for await (const { record } of readRecords(path)) if (isVerdictEvent(record)) return record;
  throw new UsageError(`--event ${path}: there is no event of the types verdict, dns or listen in it`);
}

/** @throws UsageError for traffic that rules do not speak of: ARP, and what is not IP */
export function questionOfEvent(event: VerdictEvent): Question {
  const { namespace, labels } = event.workload;
  return { workload: { namespace, labels }, process: subjectOf(event), traffic: trafficOf(event) };
}

function isVerdictEvent(event: AgentEvent): event is VerdictEvent {
  return event.type === "verdict" || event.type === "dns" || event.type === "listen";
}

function subjectOf({ process, reason }: VerdictEvent): Subject | null {
  if (process === null) return null;
  return {
    path: process.path ?? null,
    script: process.script ?? null,
    container: process.container ?? null,
    // The event does not say it.
    ephemeral: false,
    modified: process.modified ?? reason === "BinaryModified",
    ancestry: null,
    user: null,
  };
}

function trafficOf(event: VerdictEvent): Traffic {
  const { direction, dns } = event;
  if (event.type === "listen") {
    const port = `${event.dst.port ?? 0}/${event.proto}`;
    throw new UsageError(
      `--event: a process listens on port ${port}, and no packet has come yet: ask with --from ADDRESS:${port} whether a peer may connect`,
    );
  }
  // Answers are judged by what was asked, not by rules on peers and ports.
  const peer = dns?.rcode === undefined ? peerOf(event) : null;
  return {
    direction: dns?.rcode === undefined ? direction : "egress",
    peer,
    resolved: direction === "egress" ? (event.dst.name ?? null) : null,
    question: dns?.name ?? null,
    application: applicationOf(event),
  };
}

function applicationOf({ application, dns, reason }: VerdictEvent): Traffic["application"] {
  if (dns !== undefined) return "dns";
  const known = APPLICATIONS.find((name) => name === application);
  return known ?? (reason === "Application" ? "none" : "unknown");
}

function peerOf({ direction, proto, src, dst, reason }: VerdictEvent): NonNullable<Traffic["peer"]> {
  const remote = parseIp((direction === "egress" ? dst : src).ip);
  const protocol = protocolNumber(proto);
  if (remote === null || protocol === null) {
    throw new UsageError(
      `--event: no rule on peers or ports judges ${proto}; docs/reasons.md says what ${reason} means`,
    );
  }
  // The port that is connected to, whichever way the packet went.
  return { remote, protocol, port: dst.port ?? 0 };
}
