/** The format of policy test files: their JSON schema, and what a file holds that satisfies it. */

import { REASONS, type Reason } from "../../api/reasons.ts";
import { MAX_USER } from "../../api/types.ts";

export const TEST_API_VERSION = "portcullis/v1";
export const TEST_KIND = "PolicyTest";

/** `unjudged`: no profile selects the pod, or those that do only learn. */
export const EXPECTATIONS = ["allow", "alert", "deny", "count", "unjudged"] as const;
export type Expectation = (typeof EXPECTATIONS)[number];

export interface TestPod {
  namespace?: string;
  labels?: Record<string, string>;
  namespaceLabels?: Record<string, string>;
  addresses?: string[];
  resolvers?: string[];
  searchDomains?: string[];
  links?: Record<string, string>;
}

export interface TestService {
  addresses?: string[];
  pods?: string[];
}

export interface TestCase {
  name: string;
  pod: string;
  process?: string;
  unattributed?: true;
  script?: string;
  container?: string;
  ephemeral?: boolean;
  modified?: boolean;
  ancestors?: string[];
  user?: number;
  to?: string;
  from?: string;
  dns?: string;
  listen?: string;
  resolved?: string;
  application?: "dns" | "http" | "tls" | "none";
  expect: Expectation;
  reason?: Reason;
  rule?: string;
}

export interface PolicyTest {
  apiVersion: typeof TEST_API_VERSION;
  kind: typeof TEST_KIND;
  metadata: { name: string };
  profiles: string[];
  pods: Record<string, TestPod>;
  /** By `namespace/name`. */
  services?: Record<string, TestService>;
  /** Addresses of DNS names. */
  names?: Record<string, string[]>;
  cases: TestCase[];
}

const text = (description: string) => ({ type: "string", minLength: 1, description });
const texts = (description: string) => ({ type: "array", items: { type: "string", minLength: 1 }, description });
const addresses = (description: string) => ({ ...texts(description), items: { type: "string", format: "address" } });
const labels = (description: string) => ({
  type: "object",
  additionalProperties: { type: "string" },
  description,
});
const PATH = { type: "string", pattern: "^/", description: "an absolute path" };

/** Nothing but these fields. */
function record(properties: Record<string, object>, required: readonly string[] = []): object {
  return { type: "object", properties, required, additionalProperties: false };
}

const POD = record({
  namespace: text("its namespace; absent: default"),
  labels: labels("its labels, by which profiles select it"),
  namespaceLabels: labels("labels of its namespace, for rules that select pods by namespace"),
  addresses: addresses("its addresses, for cases that name it as the other side"),
  resolvers: addresses("name servers of its resolv.conf"),
  searchDomains: texts("search domains of its resolv.conf"),
  links: {
    type: "object",
    propertyNames: PATH,
    additionalProperties: PATH,
    description: "listed paths that are symbolic links, and the files that they lead to",
  },
});

const SERVICE = record({
  addresses: addresses("its cluster IPs"),
  pods: texts("pods behind it"),
});

const CASE = record(
  {
    name: text("what is shown, in words"),
    pod: text("one of pods: whose process it is"),
    process: PATH,
    unattributed: { const: true, description: "traffic of no process" },
    script: PATH,
    container: text("the container that the process is in"),
    ephemeral: { type: "boolean", description: "that container was added for debugging" },
    modified: { type: "boolean", description: "the file was created or changed after its container started" },
    ancestors: { type: "array", items: PATH, description: "executables and scripts that led to the process" },
    user: { type: "integer", minimum: 0, maximum: MAX_USER, description: "its effective user id, as the pod has it" },
    to: text("what is sent to: host:port/protocol or host/icmp"),
    from: text("who connects, and to which port of the pod: host:port/protocol"),
    dns: text("a name that is asked, of the resolver given by to or of the pod's own"),
    listen: text("a port that the process listens on: port/protocol"),
    resolved: text("the name that the address of to was an answer for"),
    application: { enum: ["dns", "http", "tls", "none"], description: "what the first payload is" },
    expect: { enum: [...EXPECTATIONS], description: "what is expected" },
    reason: { enum: REASONS.filter((reason) => reason !== "Allowed"), description: "why, where it is not allowed" },
    rule: text("who allows it: a profile, or a profile and a field below its spec"),
  },
  ["name", "pod", "expect"],
);

export const POLICY_TEST_SCHEMA = {
  ...record(
    {
      apiVersion: { const: TEST_API_VERSION },
      kind: { const: TEST_KIND },
      metadata: record({ name: text("what is tested, in words") }, ["name"]),
      profiles: { ...texts("files and folders of SecurityProfiles, from the folder of this file"), minItems: 1 },
      pods: {
        type: "object",
        minProperties: 1,
        propertyNames: { pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
        additionalProperties: POD,
      },
      services: {
        type: "object",
        propertyNames: { pattern: "^[^/]+/[^/]+$" },
        additionalProperties: SERVICE,
      },
      names: { type: "object", additionalProperties: { ...addresses("its addresses"), minItems: 1 } },
      cases: { type: "array", items: CASE, minItems: 1 },
    },
    ["apiVersion", "kind", "metadata", "profiles", "pods", "cases"],
  ),
};
