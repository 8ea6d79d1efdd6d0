/**
 * The schema of a SecurityProfile: what users may write. From it come the CRD (crd.ts) and the structure that the
 * validator checks (structure.ts).
 *
 * Sizes are bounded so that the API server can bound the cost of the rules (estimated: 10^7 units a rule, 10^8 a CRD;
 * as run: 10^6 a rule, 10^7 an object; k8s.io/apiserver, pkg/apis/cel), and so that 50,000 prefixes fit into one profile.
 */

import { CIDR4_PATTERN, CIDR6_PATTERN } from "../cidr.ts";
import { MAX_NAME_LENGTH, NAME_PATTERN } from "../names.ts";
import {
  ANCESTORS_RULE,
  ATTACKS_RULE,
  CIDR4_FAMILY_RULE,
  CIDR6_FAMILY_RULE,
  DNS_TWICE_RULE,
  DUPLICATE_PROCESS_RULE,
  FQDNS_FAMILY_RULE,
  INGRESS_DNS_RULE,
  INGRESS_FQDNS_RULE,
  INGRESS_L7_DNS_RULE,
  INGRESS_PEERS_RULE,
  INGRESS_SERVICES_RULE,
  LEARN_RULE,
  PATH_RULE,
  PEERS_FAMILY_RULE,
  PODS_FAMILY_RULE,
  PORT_RANGE_RULE,
  SERVICES_FAMILY_RULE,
} from "../rules.ts";
import {
  ACTIONS,
  ATTACKS,
  BINARY_MODES,
  EPHEMERAL_MODES,
  L3_PROTOCOLS,
  L4_PROTOCOL_NAMES,
  L7_PROTOCOLS,
  MAX_USER,
  NAMED_PEERS,
} from "../types.ts";
import { MAX_PATH_LENGTH } from "../validation/checks.ts";
import { kubernetesRule, listOf, objectOf, oneOf, type SchemaNode, setOf } from "./schema-node.ts";
import { LABEL_SELECTOR, podPeers, servicePeers } from "./schema-selectors.ts";

/** The rule against duplicates compares every two: 128 entries with the longest paths cost 0.8 of its 10^6 units. */
export const MAX_PROCESSES = 128;
export const MAX_CIDRS = 50_000;
export const MAX_NAMES = 10_000;
export const MAX_PROTOCOL_PORTS = 1024;
export const MAX_ANCESTORS = 16;
export const MAX_USERS = 64;

const NAME: SchemaNode = {
  type: "string",
  minLength: 1,
  maxLength: MAX_NAME_LENGTH + 1,
  pattern: NAME_PATTERN,
  "x-portcullis-check": "name",
};

/** `255.255.255.255/32` and the longest text of an IPv6 address, with its prefix length. */
const CIDR4: SchemaNode = {
  type: "string",
  format: "cidr",
  maxLength: 18,
  pattern: CIDR4_PATTERN,
  "x-portcullis-check": "cidr4",
};
const CIDR6: SchemaNode = {
  type: "string",
  format: "cidr",
  maxLength: 49,
  pattern: CIDR6_PATTERN,
  "x-portcullis-check": "cidr6",
};

const DNS_DESCRIPTION =
  "Names that may be asked for over DNS, whatever the record type. Absent: the names in fqdns, or any name if there are none.";

const dnsNames = (description: string): SchemaNode => listOf(description, NAME, MAX_NAMES);

const L3 = objectOf("Network layer: which EtherTypes pass.", {
  protocols: setOf(
    "EtherTypes that may be sent or received. Absent: those that the listed destinations imply.",
    oneOf(L3_PROTOCOLS),
    L3_PROTOCOLS.length,
    1,
  ),
});

const PROTOCOL_PORT = objectOf(
  "A protocol with one port, or a range of ports.",
  {
    protocol: oneOf(["tcp", "udp", "sctp"], "Protocol with ports."),
    port: {
      description: "Port, or first port of the range: the remote one for egress, the local one for ingress.",
      type: "integer",
      format: "int32",
      minimum: 1,
      maximum: 65535,
    },
    endPort: {
      description: "Last port of the range, inclusive. Absent: the one port.",
      type: "integer",
      format: "int32",
      minimum: 1,
      maximum: 65535,
    },
  },
  { required: ["protocol", "port"], rules: [PORT_RANGE_RULE] },
);

const L4 = objectOf("Transport layer: which protocols and ports pass. Absent: none.", {
  protocols: setOf(
    "IP protocols that pass on every port, by name, by number (0 to 255), or any.",
    {
      "x-kubernetes-int-or-string": true,
      minimum: 0,
      maximum: 255,
      pattern: `^(${L4_PROTOCOL_NAMES.join("|")})$`,
      "x-portcullis-check": "l4Protocol",
    },
    256,
    1,
  ),
  protocolPorts: listOf("Protocols that pass on some ports only.", PROTOCOL_PORT, MAX_PROTOCOL_PORTS),
});

const L7 = objectOf("Application layer. Absent: payloads are not looked at, but DNS is always parsed.", {
  protocols: setOf(
    "Applications that pass, recognised by the bytes of a flow's first payload, not by its port.",
    oneOf(L7_PROTOCOLS),
    L7_PROTOCOLS.length,
    1,
  ),
  dns: dnsNames(`${DNS_DESCRIPTION} Egress only.`),
});

/** Fields that are egress only are in the schema of ingress, too: the API server drops in silence what it does not know. */
const notForIngress = (what: string): string =>
  `Not valid for ingress: ${what} are for egress only. The field exists so that it is refused, and not ignored.`;

const destinations = (whose: string): Record<string, SchemaNode> => ({
  cidr4: listOf(`IPv4 prefixes ${whose}, e.g. 10.0.0.0/8.`, CIDR4, MAX_CIDRS),
  cidr6: listOf(`IPv6 prefixes ${whose}, e.g. 2001:db8::/32.`, CIDR6, MAX_CIDRS),
});

const namedPeers = (description: string): SchemaNode =>
  setOf(
    `${description} resolver: in a cluster the addresses of the Service kube-dns in kube-system, elsewhere the name servers of resolv.conf.`,
    oneOf(NAMED_PEERS),
    NAMED_PEERS.length,
  );

const EGRESS = objectOf(
  "What may be sent, and answered. Absent: nothing.",
  {
    fqdns: dnsNames("DNS names whose addresses may be connected to: www.example.com, *.example.com or *."),
    ...destinations("that may be connected to"),
    pods: podPeers("that may be connected to"),
    services: servicePeers("Services that may be connected to."),
    peers: namedPeers("Peers that may be connected to, by what they are to the workload."),
    l3: L3,
    l4: L4,
    l7: L7,
    dns: dnsNames(`Same as l7.dns, where older manifests have it. ${DNS_DESCRIPTION}`),
  },
  {
    rules: [
      DNS_TWICE_RULE,
      CIDR4_FAMILY_RULE,
      CIDR6_FAMILY_RULE,
      FQDNS_FAMILY_RULE,
      PODS_FAMILY_RULE,
      SERVICES_FAMILY_RULE,
      PEERS_FAMILY_RULE,
    ],
  },
);

const INGRESS = objectOf(
  "What may be received, and answered. Absent: nothing.",
  {
    ...destinations("that may connect"),
    pods: podPeers("that may connect"),
    l3: L3,
    l4: L4,
    l7: L7,
    fqdns: dnsNames(notForIngress("names")),
    dns: dnsNames(notForIngress("names")),
    services: servicePeers(notForIngress("services")),
    peers: namedPeers(notForIngress("peers")),
  },
  {
    rules: [
      CIDR4_FAMILY_RULE,
      CIDR6_FAMILY_RULE,
      PODS_FAMILY_RULE,
      INGRESS_FQDNS_RULE,
      INGRESS_DNS_RULE,
      INGRESS_L7_DNS_RULE,
      INGRESS_SERVICES_RULE,
      INGRESS_PEERS_RULE,
    ],
  },
);

const network = (description: string): SchemaNode => objectOf(description, { egress: EGRESS, ingress: INGRESS });

const PROCESS_PATH: SchemaNode = {
  type: "string",
  minLength: 2,
  maxLength: MAX_PATH_LENGTH,
  "x-kubernetes-validations": [kubernetesRule(PATH_RULE)],
  "x-portcullis-check": "path",
};

const PROCESS = objectOf(
  "What one executable may do on the network.",
  {
    path: {
      description:
        "Absolute path of the executable inside the container, without symlinks in the way that the image can change.",
      ...PROCESS_PATH,
    },
    container: {
      description: "Name of the container of the pod to which the entry is limited. Absent: every container.",
      type: "string",
      maxLength: 63,
      pattern: "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
      "x-portcullis-check": "container",
    },
    binary: oneOf(
      BINARY_MODES,
      "Image (the default): only the file as the image has it. Any: also one that was created or changed after the container started.",
    ),
    ancestors: listOf(
      "Only where one of these executables or scripts led to the process, by exec and fork, as far up as its container's first process. Another is judged by default, with the reason Ancestry.",
      PROCESS_PATH,
      MAX_ANCESTORS,
      1,
    ),
    notAncestors: listOf(
      "Only where none of these executables or scripts led to the process. Another is judged by default, with the reason Ancestry.",
      PROCESS_PATH,
      MAX_ANCESTORS,
      1,
    ),
    users: listOf(
      "Only with one of these effective user ids, as the pod has them, when it makes, connects or uses a socket. Another is judged by default, with the reason User.",
      { type: "integer", format: "int64", minimum: 0, maximum: MAX_USER },
      MAX_USERS,
      1,
    ),
    network: network("The rules. Absent: the process may do nothing."),
  },
  { required: ["path"], rules: [ANCESTORS_RULE] },
);

/** `spec`. */
export const SPEC_SCHEMA: SchemaNode = objectOf(
  "Which pods, which of their processes, and what these may do on the network. What is not listed is a violation.",
  {
    labelSelector: LABEL_SELECTOR,
    actions: setOf(
      "What follows from a violation: alert reports it, enforce drops the packet. trace-dns reports DNS exchanges, learn records and judges nothing. Empty: violations are counted.",
      oneOf(ACTIONS),
      ACTIONS.length,
    ),
    attacks: setOf("Attacks to look for, whatever the rules say.", oneOf(ATTACKS), ATTACKS.length),
    ephemeralContainers: oneOf(
      EPHEMERAL_MODES,
      "Include (the default): entries without a container are for ephemeral containers too (kubectl debug), which may have any image. Exclude: only for the pod's own containers; one such profile of a pod is enough.",
    ),
    default: network(
      "Rules for traffic that belongs to no listed process. Absent: neighbour discovery (ARP, ICMPv6 133 to 136) for the pod's own addresses, and nothing else.",
    ),
    processes: listOf("Executables and their rules; one entry for each path and container.", PROCESS, MAX_PROCESSES),
  },
  { rules: [LEARN_RULE, ATTACKS_RULE, DUPLICATE_PROCESS_RULE] },
);
