/**
 * What agents and operator may say to each other: every field of agent.proto, with its range. Both sides check what they get before
 * they look at it; whoever breaks a rule loses that stream, and nothing else happens. The ranges are wide: nobody who means well, of a
 * newer version or on the largest node, meets them. What is within them can still be false, and is dealt with where it is used.
 */
import { DIRECTIONS, VERDICTS } from "../api/reasons.ts";
import type {
  Acknowledgement,
  AgentMessage,
  Binding,
  Container,
  Counters,
  CountersAcknowledgement,
  Hello,
  Namespaces,
  NodeProblems,
  Observation,
  Observations,
  OperatorMessage,
  PodState,
  PodStates,
  Problem,
  ProcessCounters,
  Refusal,
  Ruleset,
  SharedFile,
  State,
  Table,
  VerdictCount,
  Violation,
  Violations,
  Watch,
  Watches,
  WatchLoss,
  Welcome,
} from "../gen/agent_pb.js";
import {
  bytes,
  type Check,
  entries,
  type FieldChecks,
  flag,
  list,
  message,
  oneOf,
  optional,
  text,
  UINT32_MAX,
  UINT64_MAX,
  whole,
} from "./field-checks.ts";
import { checkRecord } from "./record-checks.ts";
import { MAX_MESSAGE_BYTES } from "./service.ts";

/** The last millisecond of the year 9999: later ones are not written as times elsewhere. */
const TIME_MAX = 253_402_300_799_999n;

/** Names of Kubernetes' objects, and hosts: RFC 1123. */
const name = text(253, /^[A-Za-z0-9._-]*$/);
/** `namespace/name` of a profile; standalone profiles have no namespace of Kubernetes'. */
const profile = text(512, /^[A-Za-z0-9._/-]*$/);
const uid = text(128, /^[A-Za-z0-9._:-]*$/);
const hash = text(128, /^[A-Za-z0-9_-]*$/);
/** Of an error, or empty. */
const code = text(128, /^(?:[A-Z][A-Z0-9_]*)?$/);
/** PATH_MAX of Linux. */
const path = text(4096);
const words = text(16_384);
const word = text(64, /^[A-Za-z0-9._-]*$/);
const domain = text(1024);
const version = text(128);
const count = whole(0n, UINT64_MAX);
const number = whole(0, UINT32_MAX);
const direction = oneOf(["", ...DIRECTIONS]);
const verdict = oneOf(VERDICTS);

const hello: FieldChecks<Hello> = {
  protocol: number,
  version,
  nodeName: name,
  instance: text(128),
  stateHash: hash,
  tables: list(100_000, hash),
  rulesets: list(100_000, hash),
  searchDomains: list(64, domain),
  observes: flag,
};
const acknowledgement: FieldChecks<Acknowledgement> = { revision: count };
const refusal: FieldChecks<Refusal> = { revision: count, code, message: words };
const sharedFile: FieldChecks<SharedFile> = { path, names: list(4096, path) };
const podState: FieldChecks<PodState> = {
  podUid: uid,
  // Phases of newer agents are numbers to us.
  phase: whole(0, 1000),
  tableHash: hash,
  code,
  message: words,
  searchDomains: list(64, domain),
  searchDomainsKnown: flag,
  sharedFiles: list(4096, message(sharedFile)),
  letThrough: count,
};
const podStates: FieldChecks<PodStates> = { full: flag, pods: list(5000, message(podState)), removed: list(5000, uid) };
const verdictCount: FieldChecks<VerdictCount> = { direction, verdict, reason: word, packets: count };
const processCounters: FieldChecks<ProcessCounters> = {
  profile,
  path,
  container: name,
  verdicts: list(1000, message(verdictCount)),
};
const counters: FieldChecks<Counters> = {
  sequence: count,
  processes: list(100_000, message(processCounters)),
  eventsLost: count,
};
const violation: FieldChecks<Violation> = {
  time: whole(0n, TIME_MAX),
  podUid: uid,
  profiles: list(256, profile),
  path,
  container: name,
  direction,
  verdict,
  reason: word,
  protocol: word,
  remoteAddress: text(64),
  remoteName: domain,
  port: whole(0, 65_535),
  question: domain,
  count,
};
const violations: FieldChecks<Violations> = { violations: list(10_000, message(violation)), lost: count };
const problem: FieldChecks<Problem> = { code, message: words, reducesEnforcement: flag };
const nodeProblems: FieldChecks<NodeProblems> = { problems: list(256, message(problem)) };
const observation: FieldChecks<Observation> = { watches: list(256, number), record: optional(checkRecord) };
const watchLoss: FieldChecks<WatchLoss> = { watch: number, count };
const observations: FieldChecks<Observations> = {
  observations: list(10_000, message(observation)),
  lost: list(1000, message(watchLoss)),
};

const welcome: FieldChecks<Welcome> = {
  protocol: number,
  version,
  reportIntervalMilliseconds: whole(0, 3_600_000),
  reconnectLongestMilliseconds: whole(0, 3_600_000),
  violationsMax: whole(0, 10_000),
};
const ruleset: FieldChecks<Ruleset> = { hash, baseHash: hash, content: bytes(MAX_MESSAGE_BYTES) };
const table: FieldChecks<Table> = { hash, content: bytes(MAX_MESSAGE_BYTES) };
const container: FieldChecks<Container> = { name, id: text(256), ephemeral: flag };
const binding: FieldChecks<Binding> = {
  podUid: uid,
  namespace: name,
  name,
  labels: entries(10_000, text(512), text(256)),
  policy: whole(0, 1000),
  tableHash: hash,
  containers: list(10_000, message(container)),
};
const namespaces: FieldChecks<Namespaces> = { names: list(100_000, name) };
const state: FieldChecks<State> = {
  revision: count,
  full: flag,
  more: flag,
  rulesets: list(100_000, message(ruleset)),
  tables: list(100_000, message(table)),
  bindings: list(100_000, message(binding)),
  removed: list(100_000, uid),
  stateHash: hash,
  enforcing: optional(message(namespaces)),
};
const countersAcknowledgement: FieldChecks<CountersAcknowledgement> = { sequence: count };
const watch: FieldChecks<Watch> = {
  id: number,
  podUid: uid,
  verdicts: list(VERDICTS.length * 2, verdict),
  direction,
  path,
  container: name,
  rate: number,
};
const watches: FieldChecks<Watches> = { watches: list(1000, message(watch)), leaseMilliseconds: number };

type Kind<Content extends { case?: string | undefined }> = NonNullable<Content["case"]>;

const FROM_AGENT: Readonly<Record<Kind<AgentMessage["message"]>, Check>> = {
  hello: message(hello),
  acknowledgement: message(acknowledgement),
  refusal: message(refusal),
  podStates: message(podStates),
  counters: message(counters),
  violations: message(violations),
  nodeProblems: message(nodeProblems),
  observations: message(observations),
};
const FROM_OPERATOR: Readonly<Record<Kind<OperatorMessage["message"]>, Check>> = {
  welcome: message(welcome),
  state: message(state),
  countersAcknowledgement: message(countersAcknowledgement),
  watches: message(watches),
};

/** @throws BadMessageError where a field is not as it has to be; a message of a kind that is not known passes */
export function checkAgentMessage({ message: content }: AgentMessage): void {
  if (content.case !== undefined) FROM_AGENT[content.case](content.value, content.case);
}

/** @throws BadMessageError where a field is not as it has to be; a message of a kind that is not known passes */
export function checkOperatorMessage({ message: content }: OperatorMessage): void {
  if (content.case !== undefined) FROM_OPERATOR[content.case](content.value, content.case);
}
