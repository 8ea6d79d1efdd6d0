/** A verdict as one line of columns that fit a width. The agent, `run`, `observe` and the demo print their verdicts by this. */
import { printable } from "../api/printable.ts";
import type { Verdict } from "../api/reasons.ts";
import { BOLD, DIM, GREEN, type Paint, RED, YELLOW } from "../terminal/colours.ts";
import { shorten, shortenPath } from "../terminal/fit.ts";
import type { Endpoint, VerdictEvent } from "./record.ts";

export const VERDICT_COLOURS: Record<Verdict, string> = { allowed: GREEN, alerted: YELLOW, dropped: RED, counted: DIM };

/** Columns of each part; null: it is left out. */
export interface VerdictLayout {
  time: number | null;
  workload: number | null;
  process: number;
  /** Process ids behind paths. */
  pid: boolean;
  what: number;
  reason: number;
  /** Whether profiles stand at the end. */
  profiles: boolean;
  /** False where columns grow with what is in them: nothing is cut. */
  cuts: boolean;
}

export interface VerdictParts {
  time: boolean;
  /** False where all lines are of one workload. */
  workload: boolean;
}

const VERDICT_WIDTH = 7;
/** `BinaryModified`, or a shorter one with how many packets. */
const REASON_WIDTH = { short: 16, long: 20 };
/** Of a clock's `12:34:56`, and with milliseconds. */
const CLOCK = { short: 8, long: 12 };

/** Divides a line. @param width Infinity: nothing is cut */
export function verdictLayout(width: number, { time, workload }: VerdictParts): VerdictLayout {
  const isWide = width >= 120;
  const fixed = {
    time: time ? (isWide ? CLOCK.long : CLOCK.short) : null,
    workload: workload ? (isWide ? 16 : 8) : null,
    pid: width >= 100,
    reason: isWide ? REASON_WIDTH.long : REASON_WIDTH.short,
    profiles: width >= 160,
  };
  if (!Number.isFinite(width)) return { ...fixed, process: 28, what: 44, cuts: false };
  const profiles = fixed.profiles ? 30 : 0;
  const taken = [fixed.time, VERDICT_WIDTH, fixed.workload].reduce<number>(
    (sum, part) => sum + (part === null ? 0 : part + 1),
    0,
  );
  // Process and what it does share the rest; both end with a space.
  const rest = width - taken - fixed.reason - profiles - 2;
  const process = Math.floor(rest * 0.38);
  return { ...fixed, process, what: rest - process, cuts: true };
}

/** The heading over the lines. */
export function verdictHeading(layout: VerdictLayout): string {
  const { time, workload, process, what, reason, profiles } = layout;
  return columns([
    [time, "TIME"],
    [VERDICT_WIDTH, "VERDICT"],
    [workload, "WORKLOAD"],
    [process, "PROCESS"],
    [what, "WHAT"],
    [profiles ? reason : 0, "REASON"],
    [profiles ? 0 : null, "PROFILES"],
  ]);
}

/** One line without its newline. @param name of the workload, as it is to be shown */
export function verdictLine(event: VerdictEvent, layout: VerdictLayout, paint: Paint, name: string): string {
  const { time, workload, process, what, reason, profiles, cuts } = layout;
  const width = (columns: number) => (cuts ? columns : Number.POSITIVE_INFINITY);
  const profileText = printable(event.profiles.join(","));
  return columns(
    [
      [time, clockTime(event.time).slice(0, time ?? 0), DIM],
      [VERDICT_WIDTH, event.verdict, VERDICT_COLOURS[event.verdict]],
      [workload, shorten(printable(name), width(workload ?? 0))],
      [process, processText(event, width(process), layout.pid)],
      [what, whatText(event, width(what))],
      [profiles ? reason : 0, reasonText(event, width(reason)), BOLD],
      [profiles ? 0 : null, cuts ? shorten(profileText, 30) : profileText],
    ],
    paint,
  );
}

/** Cells beside each other, each padded to its width before it is coloured; those of width null are left out. */
function columns(cells: [number | null, string, string?][], paint: Paint = (_, text) => text): string {
  return cells
    .filter(([width]) => width !== null)
    .map(([width, text, colour]) => {
      const padding = " ".repeat(Math.max(0, (width ?? 0) - text.length));
      return `${colour === undefined || text === "" ? text : paint(colour, text)}${padding}`;
    })
    .join(" ")
    .trimEnd();
}

/** `/usr/bin/curl[4711]`; a star behind what was changed after its container started. */
export function processText({ process }: VerdictEvent, width = Number.POSITIVE_INFINITY, withPid = false): string {
  if (process === null) return "(no process)";
  const path = printable(process.script ?? process.path ?? process.comm ?? "(unknown)");
  const pid = withPid && process.pid !== undefined ? `[${process.pid}]` : "";
  const end = `${pid}${process.modified === true ? "*" : ""}`;
  return `${shortenPath(path, width - end.length)}${end}`;
}

/** A text with a part in its middle that may be shortened. */
type Phrase = readonly [before: string, middle: string, after: string];

/** What was sent to whom, received from whom, or asked; the longest way of writing it that fits. */
export function whatText(event: VerdictEvent, width = Number.POSITIVE_INFINITY): string {
  const phrases = phrasesOf(event).map((phrase) => phrase.map(printable) as unknown as Phrase);
  const fitting = phrases.find((phrase) => phrase.join("").length <= width);
  if (fitting !== undefined) return fitting.join("");
  const [before, middle, after] = phrases.at(-1) as Phrase;
  return `${before}${shorten(middle, Math.max(1, width - before.length - after.length))}${after}`;
}

const LISTENING = ["listens on port ", "listens on "];

/** Ways to write it, the longest first. */
function phrasesOf(event: VerdictEvent): Phrase[] {
  const { direction, proto, src, dst, dns, reason } = event;
  if (event.type === "listen") return LISTENING.map((words) => [words, portText(dst, proto), ""]);
  if (proto === "arp") return [arpPhrase(event)];
  const isOfPeer = reason === "Peer" || reason === "Port";
  if (dns !== undefined && !(isOfPeer && dns.rcode === undefined)) return dnsPhrases(event, dns);
  if (direction === "ingress") {
    const port = dst.port === undefined ? `, ${proto}` : ` to port ${portText(dst, proto)}`;
    return [
      ["← ", src.ip, port],
      ...(dst.port === undefined ? [] : [["← ", src.ip, ` to ${portText(dst, proto)}`] as const]),
    ];
  }
  const application = event.application === undefined ? "" : ` ${event.application}`;
  const asked = dns === undefined ? "" : ` asks ${dns.name}`;
  const port = dst.port === undefined ? ` ${proto}` : `:${portText(dst, proto)}`;
  const hosts = dst.name === undefined ? [hostText(dst)] : [`${dst.name}(${dst.ip})`, dst.name];
  return hosts.flatMap((host): Phrase[] => [
    ["→ ", host, `${port}${asked || application}`],
    ["→ ", host, port],
  ]);
}

/** ARP that nobody has looked into, as that of a pending workload, has no addresses. */
function arpPhrase({ direction, src, dst }: VerdictEvent): Phrase {
  const [arrow, relation, ip] = direction === "egress" ? ["→", "about", dst.ip] : ["←", "from", src.ip];
  return ip === "::" ? [`${arrow} `, "arp", ""] : [`${arrow} arp, ${relation} `, ip, ""];
}

function dnsPhrases(
  { dst, src }: VerdictEvent,
  { name, type, rcode, opcode }: NonNullable<VerdictEvent["dns"]>,
): Phrase[] {
  if (rcode !== undefined) {
    return [
      [`answer ${rcode} `, name, ` ${type} of ${src.ip}`],
      [`answer ${rcode} `, name, ` ${type}`],
    ];
  }
  const verb = opcode === undefined ? "asks " : `${opcode} `;
  return [
    [verb, name, ` ${type} of ${dst.ip}`],
    [verb, name, ` ${type}`],
  ];
}

function portText({ port }: Endpoint, proto: string): string {
  return port === undefined ? proto : `${port}/${proto}`;
}

function hostText({ ip, port }: Endpoint): string {
  return ip.includes(":") && port !== undefined ? `[${ip}]` : ip;
}

/** The reason, what was wrong with the message, and for how many packets the line stands; the longest way of writing it that fits. */
function reasonText({ verdict, reason, malformed, count }: VerdictEvent, width: number): string {
  const name = verdict === "allowed" ? "" : reason;
  const fault = malformed === undefined ? "" : ` (${malformed.fault}, byte ${malformed.offset})`;
  const packets = count > 1 ? ` ×${count}` : "";
  const inShort = count > 1 ? `×${count < 1000 ? count : `${Math.floor(count / 1000)}k`}` : "";
  const ways = [`${name}${fault}${packets}`, `${name}${packets}`, `${name}${inShort}`];
  return (ways.find((way) => way.length <= width) ?? shorten(name, width)).trimStart();
}

/** `12:34:56.789`, local time: a person compares it with their own clock. */
export function clockTime(time: string): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}
