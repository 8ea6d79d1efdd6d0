/** What telemetry may say: every field of telemetry.proto, with its range, under the same rules as message-checks.ts. */
import { VERDICTS } from "../api/reasons.ts";
import type {
  Observation,
  Observations,
  Subscription,
  SubscriptionLoss,
  Subscriptions,
  TelemetryReport,
  TelemetryRequest,
  Violation,
  Violations,
} from "../gen/telemetry_pb.js";
import { type Check, type FieldChecks, type Kind, list, message, optional, text, whole } from "./field-checks.ts";
import { checkRecord } from "./record-checks.ts";
import { count, direction, domain, name, number, path, profile, TIME_MAX, uid, verdict, word } from "./value-checks.ts";

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
const observation: FieldChecks<Observation> = { subscriptions: list(256, number), record: optional(checkRecord) };
const subscriptionLoss: FieldChecks<SubscriptionLoss> = { subscription: number, count };
const observations: FieldChecks<Observations> = {
  observations: list(10_000, message(observation)),
  lost: list(1000, message(subscriptionLoss)),
};

const subscription: FieldChecks<Subscription> = {
  id: number,
  podUid: uid,
  verdicts: list(VERDICTS.length * 2, verdict),
  direction,
  path,
  container: name,
  rate: number,
};
const subscriptions: FieldChecks<Subscriptions> = {
  subscriptions: list(1000, message(subscription)),
  leaseMilliseconds: number,
};

const REPORTS: Readonly<Record<Kind<TelemetryReport["message"]>, Check>> = {
  violations: message(violations),
  observations: message(observations),
};
const REQUESTS: Readonly<Record<Kind<TelemetryRequest["message"]>, Check>> = { subscriptions: message(subscriptions) };

/** @throws BadMessageError where a field is not as it has to be; a message of a kind that is not known passes */
export function checkTelemetryReport({ message: content }: TelemetryReport): void {
  if (content.case !== undefined) REPORTS[content.case](content.value, content.case);
}

/** @throws BadMessageError where a field is not as it has to be; a message of a kind that is not known passes */
export function checkTelemetryRequest({ message: content }: TelemetryRequest): void {
  if (content.case !== undefined) REQUESTS[content.case](content.value, content.case);
}
