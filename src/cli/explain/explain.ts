/** `portcullis explain`: what profiles mean for one packet, without a kernel, an agent or a cluster. */
import { Command, InvalidArgumentError, Option } from "commander";
import { codeEntry } from "../../api/error-codes.ts";
import { UsageError } from "../../api/errors.ts";
import { DEFAULT_NAMESPACE } from "../../api/normalize.ts";
import { jsonText, printableLines } from "../../api/printable.ts";
import { REASON_WORDS } from "../../api/reasons.ts";
import { MAX_USER, type SecurityProfile } from "../../api/types.ts";
import type { VerdictEvent } from "../../flow/record.ts";
import { type Explanation, explain, type Question } from "../../policy/explain/explain.ts";
import type { Traffic } from "../../policy/explain/explain-layers.ts";
import { type Remedy, RULE_REASONS, remedyOf } from "../../policy/explain/remedy.ts";
import { formatIp } from "../../policy/table/addresses.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { requireProfiles } from "../input/manifest-files.ts";
import { resolverAddress } from "../values/resolver-address.ts";
import { questionOfEvent, readVerdictEvent } from "./explain-event.ts";
import { remotePeer } from "./explain-peers.ts";
import { type ExplainOptions, parseQuestion } from "./explain-question.ts";
import { explanationText } from "./explain-text.ts";
import { listedLink } from "./listed-link.ts";

/** Where a resolver is asked, unless the agent has other DNS ports. */
const DNS_PORT = 53;

const EXAMPLES = `
Examples:
  portcullis explain --profiles examples/ --label app=ping --process /usr/local/bin/my-app \\
    --to 10.0.0.7:80/tcp
  portcullis explain --profiles examples/ --label app=ping --process /bin/sh --dns example.com
  portcullis explain --profiles examples/ --label app=ping --process /usr/local/bin/my-app \\
    --to 10.0.0.7:80/tcp --resolved pong.default.svc.cluster.local
  portcullis explain --profiles examples/ --label app=pong --process /usr/bin/server \\
    --from 10.0.0.7:80/tcp --peer-label app=ping

  portcullis explain PC_NETNS_WITHOUT_VETH

  portcullis agent --profiles examples/ --netns ping:app=ping --output json > events.json
  grep BinaryUnknown events.json | portcullis explain --profiles examples/ --event -

${exitStatusHelp({
  0: "a rule allows it; or the meaning of a code was printed",
  1: "no rule allows it, whatever the profiles' actions; no profile selects the workload; or the event's reason is another",
})}`;

/** @throws InvalidArgumentError */
function userId(text: string): number {
  const user = Number(text);
  if (/^\d+$/.test(text) && user <= MAX_USER) return user;
  throw new InvalidArgumentError(`Write a number from 0 to ${MAX_USER}.`);
}

/** Appends an option's value to those before it. */
function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

export function explainCommand(): Command {
  const command = new Command("explain")
    .summary("say whether traffic would be allowed, and by which rule")
    .description(
      "Says whether a process of a workload would be allowed to send or receive something, and which rule says so.\n" +
        "With the code of an error, problem or finding (PC_...): says what it means and what to do.",
    )
    .argument("[code]", "a code, in place of a question: PC_...")
    .option("-f, --profiles <path...>", "profiles: files, folders, or - for standard input")
    .option("--event <file>", "ask about the first verdict in this file of the agent's JSON events; -: standard input")
    .option("-n, --namespace <namespace>", "the workload's namespace", DEFAULT_NAMESPACE)
    .option("-l, --label <key=value>", "a label of the workload; may be repeated", collect, []);
  return addQuestionOptions(command)
    .addHelpText("after", EXAMPLES)
    .action(async (code: string | undefined, options: ExplainOptions & { profiles?: string[] }) => {
      if (code !== undefined) return answerCode(code);
      if (options.profiles === undefined)
        throw new UsageError("which profiles? give --profiles PATH, or a code: PC_...");
      const profiles = requireProfiles(options.profiles);
      if (options.event === undefined) answer(profiles, parseQuestion(options), options);
      else answerEvent(profiles, await readVerdictEvent(options.event), options);
    });
}

/** @throws UsageError for a code that Portcullis does not have */
function answerCode(code: string): void {
  const entry = codeEntry(code);
  if (entry === null) throw new UsageError(`${code} is not a code of this version; docs/errors.md lists them`);
  process.stdout.write(`${code}\n${entry.meaning}\n${entry.remedy}\n`);
}

/** As `answer`, with a note where the kernel's reason was another one. @throws UsageError */
export function answerEvent(profiles: SecurityProfile[], event: VerdictEvent, options: ExplainOptions): void {
  const question = questionOfEvent(event);
  const resolver = [...options.resolver, ...askedResolver(event)];
  const listed = options.link.length > 0 ? null : listedLink(profiles, event);
  const link = listed === null ? options.link : [`${listed}=${event.process?.path}`];
  const explanation = answer(profiles, question, { ...options, resolver, link });
  if (listed !== null) {
    note(
      `the event's reason is ${event.reason}, so ${event.process?.path} was known by a listed path. It is taken for what ${listed} ` +
        `leads to; if that is another path, say so with --link LISTED=${event.process?.path} (portcullis status shows links)`,
    );
  }
  if (explanation.judgedBy === "unrestricted" || explanation.reason === event.reason) return;
  const text = otherReason(event, explanation);
  if (text === null) return;
  note(text);
  process.exitCode = ExitStatus.NO;
}

/** Why the kernel has judged otherwise what the answer is about; null where the answer says it. */
function otherReason({ reason, process }: VerdictEvent, explanation: Explanation): string | null {
  if (explanation.reason === "BinaryUnknown" && process !== null) {
    return (
      `the event's reason is ${reason}, so a profile listed this process when it was judged. If a listed path is a ` +
      `symbolic link to ${process.path}, say so with --link LISTED=${process.path} (portcullis status shows links)`
    );
  }
  if (reason === "Allowed" && process === null && explanation.verdict !== "allowed") {
    return "the packet of this event passed: what the kernel sends and receives for the pod (neighbour discovery, group reports, answers, errors) needs no rule; docs/verdicts.md has the list";
  }
  if (!explanation.allowed) return null;
  return RULE_REASONS.has(reason)
    ? `the event's reason is ${reason}, and these profiles allow it: others were enforced then, or the address was not one of a listed name's (docs/reasons.md)`
    : `the event's reason is ${reason} (${REASON_WORDS[reason]}), whatever the rules allow; docs/reasons.md says what to do about it`;
}

function note(text: string): void {
  process.stderr.write(printableLines(`note: ${text}\n`));
}

/** What a process does: options of every command that explains. */
export function addQuestionOptions(command: Command): Command {
  return command
    .option("--process <path>", "the executable, as resolved inside the container")
    .option("--unattributed", "traffic of no process: the kernel's own, or from packet sockets", false)
    .option("--script <path>", "the script that the executable was started for by its first line (#!)")
    .option("-c, --container <name>", "the container that the process is in")
    .option("--ephemeral", "its container was added to the pod for debugging", false)
    .option("--modified", "the file was created or changed after its container started", false)
    .option(
      "--ancestor <path>",
      "an executable, or script, that led to it, by exec and fork; may be repeated",
      collect,
      [],
    )
    .option("--user <id>", "its effective user id, as the pod has it", userId)
    .option(
      "--to <address:port/protocol>",
      "what is sent to, e.g. 10.0.0.7:80/tcp, [2001:db8::1]:53/udp, 10.0.0.7/icmp",
    )
    .option("--from <address:port/protocol>", "what is received from, and on which port of the workload's own")
    .option("--dns <name>", "a name that is asked for, at the resolver given by --to or at any")
    .option("--resolved <name>", "a name that the process has resolved to the address of --to")
    .option("--peer-label <key=value>", "the other side is a pod with this label; may be repeated", collect, [])
    .option("--peer-namespace <namespace>", "the pod's namespace, if it is not the workload's")
    .option("--peer-namespace-label <key=value>", "a label of that namespace; may be repeated", collect, [])
    .option("--peer-service <namespace/name>", "the other side is this Service, or one of its endpoints")
    .addOption(
      new Option("--application <protocol>", "what the first payload is").choices(["dns", "http", "tls", "none"]),
    )
    .option(
      "--link <listed=file>",
      "a listed path that is a symbolic link, and the file that it leads to in the image (status shows them); may be repeated",
      collect,
      [],
    )
    .option("--search-domain <domain>", "of the workload's resolv.conf; may be repeated", collect, [])
    .option("--resolver <address>", "a name server of the workload's resolv.conf; may be repeated", collect, [])
    .addOption(new Option("-o, --output <format>", "format of the answer").choices(["text", "json"]).default("text"));
}

/** Prints what the profiles mean for the question; the exit status says whether a rule allows it. @throws UsageError */
export function answer(profiles: SecurityProfile[], question: Question, options: ExplainOptions): Explanation {
  const circumstances = {
    searchDomains: options.searchDomain,
    resolvers: options.resolver.map(resolverAddress),
    files: linkedFiles(options.link),
    peers: remotePeer(options, question.traffic.peer?.remote ?? null),
  };
  const explanation = explain(profiles, question, circumstances);
  const remedy = remedyOf(profiles, question, circumstances);
  const isJson = options.output === "json";
  process.stdout.write(
    isJson
      ? explanationJson(question, explanation, remedy)
      : explanationText(question, explanation, remedy, lineWidth(process.stdout)),
  );
  const isRestricted = explanation.judgedBy !== "unrestricted";
  process.exitCode = isRestricted && explanation.allowed ? ExitStatus.GOOD : ExitStatus.NO;
  if (explanation.reason === "DnsName") noteSearch(question.traffic.question ?? "", options.searchDomain);
  return explanation;
}

/** A name that the resolver has completed is not the one to list, unless it was meant. */
function noteSearch(name: string, searchDomains: readonly string[]): void {
  const domain = searchDomains.find((candidate) => name.endsWith(`.${candidate}`));
  if (domain === undefined) return;
  const start = name.slice(0, -domain.length - 1);
  note(`${name} ends in the search domain ${domain}: if the program asked for ${start}, list that name instead`);
}

/**
 * What a refused question was sent to, where the kernel had nothing against that peer: it is what the profile calls a resolver. Where the
 * question was not read there is no name in the event; peers are judged before what the reasons named here are about.
 */
function askedResolver({ dns, direction, reason, dst }: VerdictEvent): string[] {
  const unread =
    reason === "DnsMalformed" || (dst.port === DNS_PORT && (reason === "Port" || reason === "Application"));
  const asks = dns === undefined ? unread : dns.rcode === undefined && reason !== "Peer";
  return asks && direction === "egress" ? [dst.ip] : [];
}

/** `--link` options as what a listed path stands for besides itself. @throws UsageError */
function linkedFiles(links: readonly string[]): (path: string) => string[] {
  const pairs = links.map((text) => {
    const [listed = "", file = "", ...more] = text.split("=");
    if (!listed.startsWith("/") || !file.startsWith("/") || more.length > 0) {
      throw new UsageError(`--link ${text}: write two absolute paths, e.g. /bin/wget=/bin/busybox`);
    }
    return { listed, file };
  });
  return (path) => pairs.filter(({ listed }) => listed === path).map(({ file }) => file);
}

function explanationJson(question: Question, explanation: Explanation, remedy: Remedy | null): string {
  const answer = { ...question, traffic: trafficJson(question.traffic), ...explanation, remedy };
  return `${jsonText(answer, 2)}\n`;
}

function trafficJson({ peer, ...traffic }: Traffic): object {
  return { ...traffic, peer: peer && { ...peer, remote: formatIp(peer.remote) } };
}
