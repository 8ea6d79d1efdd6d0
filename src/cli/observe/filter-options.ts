/** Filters of records as options: each criterion of src/flow/filters is one, and `--not` inverts the next one. */
import { type Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { DIRECTIONS, REASONS, VERDICTS } from "../../api/reasons.ts";
import { type Criterion, type FilterCriteria, type RecordSelection, recordFilter } from "../../flow/filters/filter.ts";
import { RECORD_TYPES, TCP_FAILURES } from "../../flow/record.ts";

/** Flags and what they mean, in the order of the help. */
const FILTERS: readonly (readonly [Criterion, string, string, (readonly string[])?])[] = [
  ["type", "-t, --type <type>", "type of record", RECORD_TYPES],
  ["verdict", "--verdict <verdict>", "how packets were judged", VERDICTS],
  ["reason", "--reason <reason>", "why they were judged so", REASONS],
  ["direction", "--direction <way>", "which way packets went", DIRECTIONS],
  ["protocol", "--protocol <name>", "tcp, udp, icmp, icmpv4, icmpv6, sctp, arp, dns, http, tls, or a number"],
  ["pod", "--pod <name>", "beginning of a pod's name, or namespace/name"],
  ["fromPod", "--from-pod <name>", "the pod that sends"],
  ["toPod", "--to-pod <name>", "the pod that receives"],
  ["namespace", "-n, --namespace <name>", "pods of this namespace"],
  ["fromNamespace", "--from-namespace <name>", "the namespace of the pod that sends"],
  ["toNamespace", "--to-namespace <name>", "the namespace of the pod that receives"],
  ["label", "-l, --label <selector>", "pods with labels: key=value, key!=value, key, !key; several with commas"],
  ["fromLabel", "--from-label <selector>", "labels of the pod that sends"],
  ["toLabel", "--to-label <selector>", "labels of the pod that receives"],
  ["fqdn", "--fqdn <name>", "name of an end, or one that is asked for; * stands for any text"],
  ["fromFqdn", "--from-fqdn <name>", "name of the end that sends"],
  ["toFqdn", "--to-fqdn <name>", "name of the end that receives"],
  ["ip", "--ip <address>", "address of an end, or a prefix such as 10.0.0.0/8"],
  ["fromIp", "--from-ip <address>", "address of the end that sends"],
  ["toIp", "--to-ip <address>", "address of the end that receives"],
  ["port", "--port <port>", "port of an end, or a range such as 8000-8999"],
  ["fromPort", "--from-port <port>", "port of the end that sends"],
  ["toPort", "--to-port <port>", "port of the end that receives"],
  ["process", "--process <path>", "executable or script: its path, or its name alone; * stands for any text"],
  ["container", "-c, --container <name>", "container, of those that the pod's profiles tell apart"],
  ["profile", "--profile <name>", "profile that allowed it, or has rules for the process: namespace/name, or the name"],
  ["failure", "--failure <cause>", "how a TCP connection failed", TCP_FAILURES],
  ["minRtt", "--min-rtt <time>", "TCP connections with a round trip of this or more, such as 20ms"],
  ["nodeName", "--node-name <name>", "node; * stands for any text"],
];

/** Adds the options. @returns says what they select, once the command line has been read; throws UsageError */
export function addFilterOptions(command: Command): () => RecordSelection {
  const allow: Record<string, string[]> = {};
  const deny: Record<string, string[]> = {};
  let isDenied = false;
  command.optionsGroup("Filters (a record has to match all of them; of one that is given several times, any value):");
  command.option("--not", "invert the next filter: records that match all filters with --not are left out");
  command.on("option:not", () => {
    if (isDenied) throw notFollowed();
    isDenied = true;
  });
  for (const [criterion, flags, description, choices] of FILTERS) {
    const option = new Option(flags, description).argParser((value: string) => {
      recordFilter({ [criterion]: [value] });
      const side = isDenied ? deny : allow;
      isDenied = false;
      side[criterion] = [...(side[criterion] ?? []), value];
      return side[criterion];
    });
    // For completions; values are checked by the filters themselves.
    if (choices !== undefined) option.argChoices = [...choices];
    command.addOption(option);
  }
  command.optionsGroup("Options:");
  return () => {
    if (isDenied) throw notFollowed();
    return { allow: listOf(allow), deny: listOf(deny) };
  };
}

/** Without criteria there is nothing to meet. */
function listOf(criteria: FilterCriteria): FilterCriteria[] {
  return Object.keys(criteria).length === 0 ? [] : [criteria];
}

function notFollowed(): UsageError {
  return new UsageError("--not: a filter has to follow, which it inverts");
}
