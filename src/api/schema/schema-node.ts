/** The part of OpenAPI v3 that Kubernetes calls structural, and short ways to write it. */

import { type CelRule, ruleText } from "../rules.ts";
import type { CheckName } from "../validation/checks.ts";

/** One `x-kubernetes-validations` entry. */
export interface KubernetesRule {
  rule: string;
  message: string;
  fieldPath?: string;
}

export interface SchemaNode {
  description?: string;
  type?: "object" | "array" | "string" | "integer" | "boolean";
  format?: string;
  enum?: readonly string[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: readonly string[];
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode;
  items?: SchemaNode;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: readonly string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-int-or-string"?: true;
  "x-kubernetes-validations"?: readonly KubernetesRule[];
  /** Ours, not the API server's: the check in checks.ts that takes the place of `pattern` and `format`. */
  "x-portcullis-check"?: CheckName;
}

/** An object with just these fields. */
export function objectOf(
  description: string,
  properties: Record<string, SchemaNode>,
  more: { required?: readonly string[]; rules?: readonly CelRule[] } = {},
): SchemaNode {
  return {
    description,
    type: "object",
    ...(more.required ? { required: more.required } : {}),
    properties,
    ...(more.rules ? { "x-kubernetes-validations": more.rules.map(kubernetesRule) } : {}),
  };
}

/** A list that is replaced as a whole. */
export function listOf(description: string, items: SchemaNode, maxItems: number, minItems?: number): SchemaNode {
  const least = minItems === undefined ? {} : { minItems };
  return { description, type: "array", ...least, maxItems, "x-kubernetes-list-type": "atomic", items };
}

/** A list without order and repetition; an entry given twice is refused. */
export function setOf(description: string, items: SchemaNode, maxItems: number, minItems?: number): SchemaNode {
  return { ...listOf(description, items, maxItems, minItems), "x-kubernetes-list-type": "set" };
}

export function oneOf(values: readonly string[], description?: string): SchemaNode {
  return { ...(description ? { description } : {}), type: "string", enum: values };
}

export function kubernetesRule(rule: CelRule): KubernetesRule {
  const message = ruleText(rule);
  return { rule: rule.rule, message, ...(rule.fieldPath ? { fieldPath: rule.fieldPath } : {}) };
}
