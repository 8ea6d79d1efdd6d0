/** The CustomResourceDefinition, as `kubectl apply` takes it. */

import { API_GROUP, KIND } from "../types.ts";
import { SPEC_SCHEMA } from "./schema.ts";
import type { SchemaNode } from "./schema-node.ts";
import { STATUS_SCHEMA } from "./schema-status.ts";

export const PLURAL = "securityprofiles";

/** A column of `kubectl get`. Priority 1 is shown with `-o wide` only. */
interface PrinterColumn {
  name: string;
  type: "string" | "integer" | "date";
  jsonPath: string;
  description: string;
  priority?: 1;
}

const conditionPath = (type: string, field: string): string => `.status.conditions[?(@.type=="${type}")].${field}`;

const PRINTER_COLUMNS: readonly PrinterColumn[] = [
  { name: "Mode", type: "string", jsonPath: ".status.mode", description: "What follows from a violation" },
  {
    name: "Accepted",
    type: "string",
    jsonPath: conditionPath("Accepted", "status"),
    description: "Whether the profile is valid",
  },
  {
    name: "Enforced",
    type: "string",
    jsonPath: conditionPath("Enforced", "status"),
    description: "Whether the profile is in force on every pod that it selects",
  },
  { name: "Pods", type: "string", jsonPath: ".status.pods.text", description: "Pods in force/selected" },
  { name: "Nodes", type: "string", jsonPath: ".status.nodes.text", description: "Nodes ready/concerned" },
  { name: "Dropped", type: "integer", jsonPath: ".status.dropped", description: "Packets dropped" },
  { name: "Alerted", type: "integer", jsonPath: ".status.alerted", description: "Packets alerted and passed" },
  {
    name: "Age",
    type: "date",
    jsonPath: ".metadata.creationTimestamp",
    description: "Time since the profile was made",
  },
  {
    name: "Reason",
    type: "string",
    jsonPath: conditionPath("Enforced", "reason"),
    description: "Why it is, or is not, in force",
    priority: 1,
  },
  {
    name: "Last Violation",
    type: "date",
    jsonPath: ".status.lastViolation.time",
    description: "Time since the latest violation",
    priority: 1,
  },
];

const OBJECT_SCHEMA: SchemaNode = {
  description: "Says what the processes of a set of pods may do on the network. What it does not list is a violation.",
  type: "object",
  required: ["spec"],
  properties: {
    apiVersion: { description: `Always ${API_GROUP}/v1.`, type: "string" },
    kind: { description: `Always ${KIND}.`, type: "string" },
    metadata: { type: "object" },
    spec: SPEC_SCHEMA,
    status: STATUS_SCHEMA,
  },
};

/** The schema as the API server takes it: without our own keywords, properties in the order in which they are written. */
export function kubernetesSchema(node: SchemaNode): SchemaNode {
  const { "x-portcullis-check": _check, properties, items, additionalProperties, ...rest } = node;
  return {
    ...rest,
    ...(properties ? { properties: mapValues(properties, kubernetesSchema) } : {}),
    ...(items ? { items: kubernetesSchema(items) } : {}),
    ...(additionalProperties ? { additionalProperties: kubernetesSchema(additionalProperties) } : {}),
  };
}

function mapValues<T, U>(object: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/** The whole object, to be written as YAML. */
export function customResourceDefinition() {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${PLURAL}.${API_GROUP}` },
    spec: {
      group: API_GROUP,
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: "securityprofile",
        shortNames: ["sp", "secprof"],
        categories: ["security"],
      },
      scope: "Namespaced",
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          additionalPrinterColumns: PRINTER_COLUMNS,
          subresources: { status: {} },
          schema: { openAPIV3Schema: kubernetesSchema(OBJECT_SCHEMA) },
        },
      ],
    },
  };
}
