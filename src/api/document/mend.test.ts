/** What has one obvious mend is mended in the text; layout, comments and all else stay as they are; what is ambiguous is left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseManifests } from "../manifest.ts";
import { validateProfile } from "../validation/validate.ts";
import { mendManifests } from "./mend.ts";

const HEAD = `# a comment at the top
apiVersion: security.datadoghq.com/v1
kind: SecurityProfile
metadata: { name: web, labels: { app: web } }
`;

/** The egress rules of a process, 6 deep. */
function egress(rules: string): string {
  return `${HEAD}spec:
  processes:
    - path: /bin/app
      network:
        egress:
${rules}`;
}

function mend(text: string): string {
  return mendManifests(text, "web.yaml").text;
}

const MENDS: [string, string, string][] = [
  ["a misspelt field", `${HEAD}spec: { action: [alert] }\n`, `${HEAD}spec: { actions: [alert] }\n`],
  ["a misspelt value", `${HEAD}spec: { actions: [alrt] }\n`, `${HEAD}spec: { actions: [alert] }\n`],
  [
    "a word of another tool",
    `${HEAD}spec: { actions: [block, "audit"] }\n`,
    `${HEAD}spec: { actions: [enforce, "alert"] }\n`,
  ],
  [
    "one value where a list belongs",
    `${HEAD}spec:\n  actions: alert # one\n`,
    `${HEAD}spec:\n  actions: [alert] # one\n`,
  ],
  ["both, one after the other", `${HEAD}spec:\n  action: Alrt # one\n`, `${HEAD}spec:\n  actions: [alert] # one\n`],
  [
    "a number that is text",
    `${HEAD.replace("app: web", "app: 1.10")}spec: {}\n`,
    `${HEAD.replace("app: web", 'app: "1.10"')}spec: {}\n`,
  ],
  ["another version", `${HEAD.replace("/v1", "/v1beta1")}spec: {}\n`, `${HEAD}spec: {}\n`],
  [
    "a port in quotes, and a protocol in capitals",
    egress('          l4: { protocolPorts: [{ protocol: TCP, port: "443" }] } # https\n'),
    egress("          l4: { protocolPorts: [{ protocol: tcp, port: 443 }] } # https\n"),
  ],
  [
    "protocols' numbers",
    egress('          l4: { protocols: ["47", esp, tcpp] }\n'),
    egress("          l4: { protocols: [47, 50, tcp] }\n"),
  ],
  [
    "an address without a prefix length",
    egress('          cidr4: [10.0.0.1]\n          cidr6:\n            - "2001:db8::1"\n            - ::1 # own\n'),
    egress(
      '          cidr4: [10.0.0.1/32]\n          cidr6:\n            - "2001:db8::1/128"\n            - "::1/128" # own\n',
    ),
  ],
  [
    "entries that are there twice, each comment kept",
    egress(
      "          fqdns:\n            - a.test # first\n            # about b\n            - b.test\n            # about the second a\n            - a.test # second\n            - B.test\n          cidr4: [10.0.0.0/8,  10.0.0.0/8, 11.0.0.0/8,10.0.0.0/8 ] # ten\n",
    ),
    egress(
      "          fqdns:\n            - a.test # first\n            # about b\n            - b.test\n            # about the second a\n            # second\n          cidr4: [10.0.0.0/8, 11.0.0.0/8 ] # ten\n",
    ),
  ],
  [
    "a port that is there twice",
    egress(
      "          cidr4: [10.0.0.0/8]\n          l4:\n            protocolPorts:\n              - protocol: tcp\n                port: 443\n              - protocol: tcp\n                port: 443\n          l7: { protocols: [tls, tls] }\n",
    ),
    egress(
      "          cidr4: [10.0.0.0/8]\n          l4:\n            protocolPorts:\n              - protocol: tcp\n                port: 443\n          l7: { protocols: [tls] }\n",
    ),
  ],
  [
    "a path with two slashes",
    `${HEAD}spec: { processes: [{ path: /usr//bin/./app }] }\n`,
    `${HEAD}spec: { processes: [{ path: /usr/bin/app }] }\n`,
  ],
];

for (const [title, before, after] of MENDS) {
  test(`mended: ${title}`, () => {
    assert.equal(mend(before), after);
    const [manifest] = parseManifests(after, "web.yaml").manifests;
    assert.ok(manifest);
    assert.deepEqual(validateProfile(manifest.object).errors, []);
    assert.equal(mend(after), after, "nothing is left to mend");
  });
}

const LEFT: [string, string][] = [
  ["two fields are as close", egress("          cidr: [10.0.0.0/8]\n")],
  ["the field that is meant is there, too", `${HEAD}spec: { action: [alert], actions: [enforce] }\n`],
  ["two values are as close", egress("          l3: { protocols: [ip] }\n")],
  ["no value is close", `${HEAD}spec: { actions: [xyzzy] }\n`],
  ["host bits: prefix length or address?", egress("          cidr4: [10.1.2.3/8]\n")],
  ["a path with .. in it", `${HEAD}spec: { processes: [{ path: /usr/../bin/app }] }\n`],
  ["a path that ends in a slash", `${HEAD}spec: { processes: [{ path: /usr/bin/ }] }\n`],
  ["a port that is none", egress('          l4: { protocolPorts: [{ protocol: tcp, port: "0x50" }] }\n')],
  [
    "a second entry with a comment within",
    egress(
      "          pods:\n            - podSelector: {} # a\n              namespaceSelector: {}\n            - podSelector: {} # b\n              namespaceSelector: {}\n          l4: { protocols: [tcp] }\n",
    ),
  ],
  ["an alias", egress("          cidr4: &a [10.0.0.1]\n        ingress:\n          cidr4: *a\n")],
  ["text that is no YAML", `${HEAD}spec: { action: [alert }\n`],
  ["an object of another kind", "kind: Deployment\napiVersion: apps/v1\nspec: { action: [alrt] }\n"],
];

for (const [title, text] of LEFT) {
  test(`left as it is: ${title}`, () => {
    assert.deepEqual(mendManifests(text, "web.yaml"), { text, mended: [] });
  });
}

test("every document of a file, lists of profiles and JSON are mended, and other documents stay byte for byte", () => {
  const other = 'kind: Pod\napiVersion: v1\nmetadata: {name:   a, labels: {x: "1"}}   # x\n';
  const list = `kind: List\napiVersion: v1\nitems:\n- ${HEAD.slice(HEAD.indexOf("\n") + 1)
    .trimEnd()
    .replaceAll("\n", "\n  ")}\n  spec: { actions: [alrt] }\n`;
  const text = `${HEAD}spec: { actions: [alrt] }\n---\n${other}---\n# the list\n${list}`;
  assert.equal(mend(text), text.replaceAll("alrt", "alert"));
  const json =
    '{\n  "apiVersion": "security.datadoghq.com/v1", "kind": "SecurityProfile",\n  "metadata": {"name": "a"}, "spec": {"action": ["alrt"]}\n}\n';
  assert.equal(mend(json), json.replace('"action"', '"actions"').replace("alrt", "alert"));
});

test("each mend names what was wrong, and where", () => {
  const { mended } = mendManifests(`${HEAD}spec: { actions: [alrt] }\n`, "web.yaml");
  assert.deepEqual(
    mended.map(({ field, line, column, code }) => ({ field, line, column, code })),
    [{ field: "spec.actions[0]", line: 5, column: 19, code: "PC_VALUE_UNKNOWN" }],
  );
});

test("a large profile with many repetitions is mended in seconds", () => {
  const lines = Array.from({ length: 4_000 }, (_, index) => `            - 10.${index % 200}.0.0/16\n`);
  const started = performance.now();
  const { mended } = mendManifests(egress(`          cidr4:\n${lines.join("")}`), "web.yaml");
  assert.equal(mended.length, 3_800);
  assert.ok(performance.now() - started < 20_000);
});
