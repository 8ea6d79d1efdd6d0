/** Something that was recorded, for people and for programs. */
import type { Evidence } from "../../learn/evidence.ts";
import type { Observation } from "../../learn/recording.ts";

/** What was done: `connects to example.com, tcp 443`. */
export function whatText({ direction, peer, name, protocol, port, question }: Observation): string {
  const where = port === null ? protocol : `${protocol} ${port}`;
  if (question !== null) return `asks ${peer} for ${JSON.stringify(question.name)}`;
  return direction === "egress" ? `connects to ${name ?? peer}, ${where}` : `is connected to by ${peer}, ${where}`;
}

export function timesText(times: number): string {
  return times === 1 ? "once" : `${times} times`;
}

/** `2026-01-02T03:04:05Z`: nobody needs milliseconds here. */
export function seconds(time: string): string {
  return time.replace(/\.\d+Z$/, "Z");
}

export function evidenceJson<T extends Pick<Evidence, "replicas">>({ replicas, ...rest }: T) {
  return { ...rest, replicas: [...replicas].sort() };
}

export function observationJson({ evidence, ...what }: Observation) {
  return { ...what, evidence: evidenceJson(evidence) };
}
