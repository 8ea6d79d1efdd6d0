/** The parts of the schema that select objects of the cluster: pods by labels, and Services by name. */
import { DNS_LABEL_PATTERN, LABEL_VALUE_PATTERN } from "../labels.ts";
import { POD_PEER_RULE, SELECTOR_VALUES_RULE } from "../rules.ts";
import { listOf, objectOf, oneOf, type SchemaNode } from "./schema-node.ts";

export const MAX_POD_PEERS = 32;
export const MAX_SERVICE_PEERS = 128;
const MAX_PEER_TERMS = 16;
const MAX_SELECTOR_TERMS = 64;
const MAX_SELECTOR_VALUES = 256;
const MAX_LABEL_KEY_LENGTH = 253 + 1 + 63;

const LABEL_VALUE: SchemaNode = {
  type: "string",
  maxLength: 63,
  pattern: LABEL_VALUE_PATTERN,
  "x-portcullis-check": "labelValue",
};

const REQUIREMENT = objectOf(
  "One condition on a label.",
  {
    key: {
      description: "The label's key.",
      type: "string",
      maxLength: MAX_LABEL_KEY_LENGTH,
      "x-portcullis-check": "labelKey",
    },
    operator: oneOf(["In", "NotIn", "Exists", "DoesNotExist"], "How the label's value relates to the values."),
    values: listOf("Values for In and NotIn.", LABEL_VALUE, MAX_SELECTOR_VALUES),
  },
  { required: ["key", "operator"], rules: [SELECTOR_VALUES_RULE] },
);

/** A standard LabelSelector. */
const selectorOf = (description: string, terms: number): SchemaNode => ({
  ...objectOf(description, {
    matchLabels: {
      description: "Labels that it must have, with these values.",
      type: "object",
      maxProperties: terms,
      additionalProperties: LABEL_VALUE,
    },
    matchExpressions: listOf("Conditions that must hold as well.", REQUIREMENT, terms),
  }),
  "x-kubernetes-map-type": "atomic",
});

export const LABEL_SELECTOR = selectorOf(
  "Pods of the profile's namespace that it applies to. Absent: pods with the profile's own labels. One without any condition selects nothing.",
  MAX_SELECTOR_TERMS,
);

const POD_PEER = objectOf(
  "Pods by their labels.",
  {
    namespaceSelector: selectorOf("Namespaces of the pods; {} is all. Absent: the profile's own.", MAX_PEER_TERMS),
    podSelector: selectorOf("Pods of these namespaces; {} is all, and so is its absence.", MAX_PEER_TERMS),
  },
  { rules: [POD_PEER_RULE] },
);

const OBJECT_NAME: SchemaNode = {
  type: "string",
  maxLength: 63,
  minLength: 1,
  pattern: DNS_LABEL_PATTERN,
};

const SERVICE_PEER = objectOf(
  "A Service: its own addresses, and those of its endpoints.",
  {
    name: { description: "Its name.", ...OBJECT_NAME, "x-portcullis-check": "serviceName" },
    namespace: {
      description: "Its namespace. Absent: the profile's own.",
      ...OBJECT_NAME,
      "x-portcullis-check": "namespaceName",
    },
  },
  { required: ["name"] },
);

/** A list of pods by their labels. */
export const podPeers = (whose: string): SchemaNode =>
  listOf(`Pods ${whose}; their addresses are followed as they come and go.`, POD_PEER, MAX_POD_PEERS);

/** A list of Services. */
export const servicePeers = (description: string): SchemaNode => listOf(description, SERVICE_PEER, MAX_SERVICE_PEERS);
