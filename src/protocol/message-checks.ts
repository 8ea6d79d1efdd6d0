/**
 * What agents and operator may say to each other: every field of agent.proto, with its range. Both sides check what they get before
 * they look at it; whoever breaks a rule loses that stream, and nothing else happens. The ranges are wide: nobody who means well, of a
 * newer version or on the largest node, meets them. What is within them can still be false, and is dealt with where it is used.
 */
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
  Welcome,
} from "../gen/agent_pb.js";
import {
  bytes,
  type Check,
  entries,
  type FieldChecks,
  flag,
  type Kind,
  list,
  message,
  optional,
  text,
  whole,
} from "./field-checks.ts";
import { MAX_MESSAGE_BYTES } from "./service.ts";
import {
  code,
  count,
  direction,
  domain,
  hash,
  name,
  number,
  path,
  profile,
  uid,
  verdict,
  version,
  word,
  words,
} from "./value-checks.ts";

const hello: FieldChecks<Hello> = {
  protocol: number,
  version,
  nodeName: name,
  instance: text(128),
  stateHash: hash,
  tables: list(100_000, hash),
  rulesets: list(100_000, hash),
  searchDomains: list(64, domain),
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
const problem: FieldChecks<Problem> = { code, message: words, reducesEnforcement: flag };
const nodeProblems: FieldChecks<NodeProblems> = { problems: list(256, message(problem)) };
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
const FROM_AGENT: Readonly<Record<Kind<AgentMessage["message"]>, Check>> = {
  hello: message(hello),
  acknowledgement: message(acknowledgement),
  refusal: message(refusal),
  podStates: message(podStates),
  counters: message(counters),
  nodeProblems: message(nodeProblems),
};
const FROM_OPERATOR: Readonly<Record<Kind<OperatorMessage["message"]>, Check>> = {
  welcome: message(welcome),
  state: message(state),
  countersAcknowledgement: message(countersAcknowledgement),
};

/** @throws BadMessageError where a field is not as it has to be; a message of a kind that is not known passes */
export function checkAgentMessage({ message: content }: AgentMessage): void {
  if (content.case !== undefined) FROM_AGENT[content.case](content.value, content.case);
}

/** @throws BadMessageError where a field is not as it has to be; a message of a kind that is not known passes */
export function checkOperatorMessage({ message: content }: OperatorMessage): void {
  if (content.case !== undefined) FROM_OPERATOR[content.case](content.value, content.case);
}
