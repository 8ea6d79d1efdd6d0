/**
 * Test data: profiles that are refused, one for each rule, with the finding that must be reported. They are plain
 * objects, so that the API server (with the CRD) can be asked about the same ones as the validator.
 */

import { API_VERSION, KIND } from "../types.ts";
import { profileWith, profileWithEgress, type RefusedProfile, refused, refusedLater } from "./refused-case.ts";
import { REFUSED_RULES } from "./refused-rules.ts";

const EGRESS = "spec.processes[0].network.egress";

const path = (text: string) => profileWith({ processes: [{ path: text }] });
const PATH_FIELD = "spec.processes[0].path";

const STRUCTURE: RefusedProfile[] = [
  refusedLater(
    "another group",
    { ...profileWith({}), apiVersion: "securityprobe.datadoghq.com/v1" },
    "apiVersion",
    "PC_VALUE_UNKNOWN",
    /security\.datadoghq\.com\/v1/,
  ),
  refusedLater(
    "another kind",
    { ...profileWith({}), kind: "SecurityPolicy" },
    "kind",
    "PC_VALUE_UNKNOWN",
    /SecurityProfile/,
  ),
  refused(
    "no spec",
    { apiVersion: API_VERSION, kind: KIND, metadata: { name: "a" } },
    "spec",
    "PC_FIELD_MISSING",
    /add it/,
  ),
  refusedLater("no name", profileWith({}, { name: undefined }), "metadata.name", "PC_FIELD_MISSING", /add it/),
  refusedLater("a bad name", profileWith({}, { name: "A_b" }), "metadata.name", "PC_NAME_INVALID", /lower-case/),
  refusedLater(
    "a bad label",
    profileWith({}, { labels: { app: "-" } }),
    "metadata.labels.app",
    "PC_LABEL_INVALID",
    /letter or digit/,
  ),
  refused(
    "a misspelt field",
    profileWith({ action: ["alert"] }),
    "spec.action",
    "PC_FIELD_UNKNOWN",
    /did you mean actions\?/,
  ),
  refused(
    "a field at the wrong level",
    profileWith({ processes: [{ path: "/bin/app", egress: {} }] }),
    "spec.processes[0].egress",
    "PC_FIELD_UNKNOWN",
    /belongs to spec\.default or spec\.processes\[\]\.network/,
  ),
  refused(
    "a field of layer 3 misread as 13",
    profileWithEgress({ "13": {} }),
    `${EGRESS}["13"]`,
    "PC_FIELD_UNKNOWN",
    /did you mean l3\?/,
  ),
  refused(
    "HTTP rules",
    profileWithEgress({ l7: { http: [{ method: "GET" }] } }),
    `${EGRESS}.l7.http`,
    "PC_FIELD_UNKNOWN",
    /not implemented/,
  ),
  refused(
    "an unknown action",
    profileWith({ actions: ["alrt"] }),
    "spec.actions[0]",
    "PC_VALUE_UNKNOWN",
    /write "alert"/,
  ),
  refused("an unknown attack", profileWith({ attacks: ["smurf"] }), "spec.attacks[0]", "PC_VALUE_UNKNOWN", /write one/),
  refused(
    "an action twice",
    profileWith({ actions: ["alert", "alert"] }),
    "spec.actions",
    "PC_ENTRY_DUPLICATE",
    /take one away/,
  ),
  refused(
    "HTTPS as application",
    profileWithEgress({ l7: { protocols: ["https"] } }),
    `${EGRESS}.l7.protocols[0]`,
    "PC_VALUE_UNKNOWN",
    /write "tls"/,
  ),
  refused(
    "HTTPS as a port's protocol",
    profileWithEgress({ l4: { protocolPorts: [{ protocol: "https", port: 443 }] } }),
    `${EGRESS}.l4.protocolPorts[0].protocol`,
    "PC_VALUE_UNKNOWN",
    /write "tcp"/,
  ),
  refused("text for a list", profileWith({ actions: "alert" }), "spec.actions", "PC_FIELD_TYPE", /write \[alert\]/),
  refusedLater(
    "nothing for an object",
    profileWith({ default: null }),
    "spec.default",
    "PC_FIELD_TYPE",
    /leave the field out/,
  ),
  refused(
    "an unknown binary mode",
    profileWith({ processes: [{ path: "/a", binary: "image" }] }),
    "spec.processes[0].binary",
    "PC_VALUE_UNKNOWN",
    /write "Image"/,
  ),
  refused(
    "empty l3.protocols",
    profileWithEgress({ l3: { protocols: [] } }),
    `${EGRESS}.l3.protocols`,
    "PC_VALUE_RANGE",
    /leave the field out/,
  ),
  refused(
    "empty l4.protocols",
    profileWithEgress({ l4: { protocols: [] } }),
    `${EGRESS}.l4.protocols`,
    "PC_VALUE_RANGE",
    /leave the field out/,
  ),
  refused(
    "empty l7.protocols",
    profileWithEgress({ l7: { protocols: [] } }),
    `${EGRESS}.l7.protocols`,
    "PC_VALUE_RANGE",
    /leave the field out/,
  ),
  refused(
    "too many processes",
    profileWith({ processes: Array.from({ length: 129 }, (_, index) => ({ path: `/${index}` })) }),
    "spec.processes",
    "PC_VALUE_RANGE",
    /split/,
  ),
];

const PATHS: RefusedProfile[] = [
  refused("no path", profileWith({ processes: [{}] }), PATH_FIELD, "PC_FIELD_MISSING", /add it/),
  refused("a relative path", path("bin/app"), PATH_FIELD, "PC_PATH_INVALID", /from \//),
  refused("a path through ..", path("/usr/../bin/app"), PATH_FIELD, "PC_PATH_INVALID", /"\/bin\/app"/),
  refused("a path that ends in ..", path("/usr/bin/.."), PATH_FIELD, "PC_PATH_INVALID", /"\/usr"/),
  refused("a path with .", path("/usr/./app"), PATH_FIELD, "PC_PATH_INVALID", /"\/usr\/app"/),
  refused("a slash at the end", path("/usr/bin/"), PATH_FIELD, "PC_PATH_INVALID", /"\/usr\/bin"/),
  refused("two slashes", path("//bin/app"), PATH_FIELD, "PC_PATH_INVALID", /"\/bin\/app"/),
  refused("the root", path("/"), PATH_FIELD, "PC_PATH_INVALID", /executable/),
  refused("256 bytes", path(`/${"a".repeat(255)}`), PATH_FIELD, "PC_PATH_INVALID", /shorter/),
  refused("255 characters in more bytes", path(`/${"ü".repeat(200)}`), PATH_FIELD, "PC_PATH_INVALID", /shorter/),
  refusedLater("a NUL", path("/bin/a\0b"), PATH_FIELD, "PC_PATH_INVALID", /"\/bin\/ab"/),
  refused(
    "a bad container",
    profileWith({ processes: [{ path: "/a", container: "App" }] }),
    "spec.processes[0].container",
    "PC_NAME_INVALID",
    /lower-case/,
  ),
  refused(
    "a path twice",
    profileWith({ processes: [{ path: "/a" }, { path: "/b" }, { path: "/a" }] }),
    "spec.processes[2]",
    "PC_PROCESS_DUPLICATE",
    /merge/,
  ),
  refused(
    "a path and container twice",
    profileWith({
      processes: [
        { path: "/a", container: "c" },
        { path: "/a", container: "c" },
      ],
    }),
    "spec.processes[1]",
    "PC_PROCESS_DUPLICATE",
    /merge/,
  ),
  refused(
    "the empty container beside none",
    profileWith({ processes: [{ path: "/a", container: "" }, { path: "/a" }] }),
    "spec.processes[1]",
    "PC_PROCESS_DUPLICATE",
    /merge/,
  ),
  refused(
    "an ancestor that is no absolute path",
    profileWith({ processes: [{ path: "/a", ancestors: ["backup"] }] }),
    "spec.processes[0].ancestors[0]",
    "PC_PATH_INVALID",
    /write it|write the whole path/,
  ),
  refused(
    "no ancestor to be below",
    profileWith({ processes: [{ path: "/a", ancestors: [] }] }),
    "spec.processes[0].ancestors",
    "PC_VALUE_RANGE",
    /at least|list/,
  ),
  refused(
    "an ancestor that has to be and must not be",
    profileWith({ processes: [{ path: "/a", ancestors: ["/b", "/c"], notAncestors: ["/c"] }] }),
    "spec.processes[0].notAncestors",
    "PC_ANCESTORS_CONFLICT",
    /take it off/,
  ),
  refused(
    "a user by name",
    profileWith({ processes: [{ path: "/a", users: ["www-data"] }] }),
    "spec.processes[0].users[0]",
    "PC_FIELD_TYPE",
    /number/,
  ),
  refused(
    "the number that means no user",
    profileWith({ processes: [{ path: "/a", users: [4294967295] }] }),
    "spec.processes[0].users[0]",
    "PC_VALUE_RANGE",
    /within bounds/,
  ),
];

const SPEC: RefusedProfile[] = [
  refused(
    "learn beside enforce",
    profileWith({ actions: ["enforce", "learn"] }),
    "spec.actions[1]",
    "PC_ACTIONS_CONFLICT",
    /learn first/,
  ),
  refused(
    "learn beside alert",
    profileWith({ actions: ["learn", "alert"] }),
    "spec.actions[0]",
    "PC_ACTIONS_CONFLICT",
    /learn first/,
  ),
  ...["port-scan", "syn-flood", "dns-tunnel"].map((attack) =>
    refused(
      `${attack}, not implemented`,
      profileWith({ attacks: ["arp-spoofing", attack] }),
      "spec.attacks[1]",
      "PC_ATTACK_NOT_IMPLEMENTED",
      /off the list/,
    ),
  ),
  refused(
    "In without values",
    profileWith({ labelSelector: { matchExpressions: [{ key: "a", operator: "In" }] } }),
    "spec.labelSelector.matchExpressions[0].values",
    "PC_SELECTOR_VALUES",
    /add values/,
  ),
  refused(
    "Exists with values",
    profileWith({ labelSelector: { matchExpressions: [{ key: "a", operator: "Exists", values: ["b"] }] } }),
    "spec.labelSelector.matchExpressions[0].values",
    "PC_SELECTOR_VALUES",
    /add values/,
  ),
  refused(
    "an unknown operator",
    profileWith({ labelSelector: { matchExpressions: [{ key: "a", operator: "Equals", values: ["b"] }] } }),
    "spec.labelSelector.matchExpressions[0].operator",
    "PC_VALUE_UNKNOWN",
    /write/,
  ),
  refusedLater(
    "a bad key",
    profileWith({ labelSelector: { matchLabels: { "a b": "c" } } }),
    'spec.labelSelector.matchLabels["a b"]',
    "PC_LABEL_INVALID",
    /63/,
  ),
  refused(
    "a bad value",
    profileWith({ labelSelector: { matchLabels: { a: "b c" } } }),
    "spec.labelSelector.matchLabels.a",
    "PC_LABEL_INVALID",
    /63/,
  ),
];

export const REFUSED_PROFILES: readonly RefusedProfile[] = [...STRUCTURE, ...PATHS, ...SPEC, ...REFUSED_RULES];
