/** Records in other forms for people and programs: a line, or a list of fields, each. */
import { toJsonString } from "@bufbuild/protobuf";
import { printable, printableJson } from "../api/printable.ts";
import { RecordSchema } from "../gen/flow_pb.js";
import { recordMessage } from "./message.ts";
import { type AgentEvent, type Endpoint, isTraffic, isVerdict, type VerdictEvent } from "./record.ts";
import { EventText } from "./text.ts";
import { processText, whatText } from "./verdict-text.ts";

const OCCURRENCES = { colours: false, width: Number.POSITIVE_INFINITY, oneWorkload: false };

/** `2026-01-02T03:04:05.678Z worker-1 shop/web-0 /usr/bin/curl[4711] → api.example.com(203.0.113.7):443/tcp tls: dropped Peer shop/web`. */
export function compactLine(record: AgentEvent): string {
  const head = [record.time, ...(record.node === undefined ? [] : [printable(record.node)])].join(" ");
  if (!isVerdict(record)) return `${head} ${restOf(record)}`;
  const { workload, verdict, reason, profiles, count } = record;
  const what = `${printable(`${workload.namespace}/${workload.name}`)} ${processText(record, Number.POSITIVE_INFINITY, true)} ${whatText(record)}`;
  const why = verdict === "allowed" ? [] : [reason];
  const times = count > 1 ? [`×${count}`] : [];
  return [`${head} ${what}:`, verdict, ...why, ...times, printable(profiles.join(","))].join(" ").trimEnd();
}

/** What is no verdict, as the agent writes it, without its time. */
function restOf(record: AgentEvent): string {
  const text = new EventText(OCCURRENCES).lines(record);
  return text.slice(text.indexOf(" ") + 1);
}

/** Fields with their names, one a line. */
export function dictLines(record: AgentEvent): string {
  const fields = isVerdict(record) ? verdictFields(record) : Object.entries(record).map(fieldOf);
  const width = Math.max(...fields.map(([name]) => name.length)) + 2;
  return fields.map(([name, value]) => `${`${name}:`.padEnd(width)}${printable(value)}`).join("\n");
}

function fieldOf([name, value]: [string, unknown]): [string, string] {
  return [name.toUpperCase(), typeof value === "string" ? value : JSON.stringify(value)];
}

function verdictFields(record: VerdictEvent): [string, string][] {
  const { time, node, type, verdict, reason, direction, workload, profiles, proto, src, dst, application, dns, count } =
    record;
  const fields: [string, string | undefined][] = [
    ["TIME", time],
    ["NODE", node],
    ["TYPE", type],
    ["WORKLOAD", `${workload.namespace}/${workload.name}`],
    ["PROCESS", processText(record, Number.POSITIVE_INFINITY, true)],
    ["CONTAINER", record.process?.container],
    ["DIRECTION", direction],
    ["PROTOCOL", application === undefined ? proto : `${proto} ${application}`],
    ["SOURCE", endText(src)],
    ["DESTINATION", endText(dst)],
    ["DNS", dns === undefined ? undefined : [dns.name, dns.type, dns.rcode, dns.opcode].filter(Boolean).join(" ")],
    ["VERDICT", verdict],
    ["REASON", reason],
    ["PROFILES", profiles.join(",")],
    ["COUNT", String(count)],
  ];
  return fields.filter((field): field is [string, string] => field[1] !== undefined && field[1] !== "");
}

function endText({ ip, port, name }: Endpoint): string {
  const host = port === undefined ? ip : ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
  return name === undefined ? host : `${name} (${host})`;
}

/** As JSON of its message (proto/portcullis/flow/v1); null: the protocol has none for it. */
export function protobufLine(record: AgentEvent): string | null {
  if (!isTraffic(record) && record.type !== "lost") return null;
  return printableJson(toJsonString(RecordSchema, recordMessage(record)));
}
