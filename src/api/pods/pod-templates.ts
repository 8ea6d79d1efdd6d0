/** Pods in manifests of other kinds: what `validate` can say of the pods that a profile is going to select. */
import { Ajv } from "ajv";
import type { ManifestProblem } from "../document/document-source.ts";
import type { ErrorCode } from "../error-codes.ts";
import type { SecuredPodSpec } from "./weaknesses.ts";

/** A pod, or what makes pods. */
export interface PodTemplate {
  kind: string;
  namespace: string;
  name: string;
  labels: Record<string, string>;
  spec: SecuredPodSpec;
  /** A note at its place in the text. */
  note(code: ErrorCode, message: string, remedy: string): ManifestProblem;
}

interface Metadata {
  name?: string;
  namespace?: string;
  labels?: Record<string, string>;
}

interface Template {
  metadata?: Metadata;
  spec: SecuredPodSpec;
}

const object = (properties: object, required: string[] = []) => ({ type: "object", properties, required });
const list = (items: object) => ({ type: ["array", "null"], items });
const STRING = { type: "string" };
const METADATA = object({ name: STRING, namespace: STRING, labels: { type: "object", additionalProperties: STRING } });
const CONTEXT = object({
  privileged: { type: "boolean" },
  allowPrivilegeEscalation: { type: "boolean" },
  runAsUser: { type: "integer" },
  runAsNonRoot: { type: "boolean" },
  capabilities: object({ add: list(STRING), drop: list(STRING) }),
  seccompProfile: object({ type: STRING }),
});
const CONTAINERS = list(object({ securityContext: CONTEXT }));
const POD_SPEC = object({
  hostPID: { type: "boolean" },
  securityContext: CONTEXT,
  volumes: list(object({ hostPath: object({ path: STRING }) })),
  ...{ containers: CONTAINERS, initContainers: CONTAINERS, ephemeralContainers: CONTAINERS },
});
const isTemplate = new Ajv({ allowUnionTypes: true }).compile<Template>(
  object({ metadata: METADATA, spec: POD_SPEC }, ["spec"]),
);

/** Where each kind has its pods' template. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  ReplicationController: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

/** The pods of an object; null for a kind that makes none, and for what the API server would not take. */
export function podTemplateOf(manifest: object, note: PodTemplate["note"]): PodTemplate | null {
  const { kind, metadata } = manifest as { kind?: unknown; metadata?: unknown };
  const path = typeof kind === "string" && Object.hasOwn(TEMPLATES, kind) ? TEMPLATES[kind] : undefined;
  if (path === undefined || typeof kind !== "string") return null;
  const template = path.reduce<unknown>((value, key) => (value as Record<string, unknown> | null)?.[key], manifest);
  if (!isTemplate(template) || !isNamed(metadata)) return null;
  const { name = "", namespace = "default" } = metadata;
  return { kind, namespace, name, labels: template.metadata?.labels ?? {}, spec: withoutNulls(template.spec), note };
}

const isNamed = new Ajv().compile<Metadata>(METADATA);

/** An empty list is often written as nothing at all. */
function withoutNulls(spec: SecuredPodSpec): SecuredPodSpec {
  return JSON.parse(JSON.stringify(spec), (_, value) => value ?? undefined) as SecuredPodSpec;
}
