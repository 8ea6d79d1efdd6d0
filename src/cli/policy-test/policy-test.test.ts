/** `portcullis test`: cases are judged as `explain` does, what differs from the expectation is shown, and mistakes in a file are named. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const ROOT = join(import.meta.dirname, "../../..");
const PORTCULLIS = join(ROOT, "bin/portcullis");
const EXAMPLE = join(ROOT, "examples/tests/ping-pong.yaml");

const PROFILE = `apiVersion: security.datadoghq.com/v1
kind: SecurityProfile
metadata: { name: web, namespace: shop, labels: { app: web } }
spec:
  actions: [alert, enforce]
  processes:
    - path: /bin/app
      network:
        egress:
          fqdns: [db.example.com]
          peers: [resolver]
          pods: [{ podSelector: { matchLabels: { app: cache } } }]
          services: [{ name: queue }]
          l4: { protocolPorts: [{ protocol: udp, port: 53 }, { protocol: tcp, port: 5432 }, { protocol: tcp, port: 6379 }, { protocol: udp, port: 9 }], protocols: [icmp] }
        ingress:
          pods: [{ namespaceSelector: { matchLabels: { team: edge } } }]
          l4: { protocolPorts: [{ protocol: tcp, port: 8080 }] }
`;
const HEAD = `apiVersion: portcullis/v1
kind: PolicyTest
metadata: { name: the web }
profiles: [web.yaml]
pods:
  web: { namespace: shop, labels: { app: web }, addresses: [10.1.0.1], resolvers: [10.96.0.10], links: { /bin/app: /bin/busybox } }
  cache: { namespace: shop, labels: { app: cache }, addresses: [10.1.0.2, "2001:db8::2"] }
  proxy: { namespace: edge, namespaceLabels: { team: edge }, addresses: [10.1.0.3] }
  other: { namespace: shop, labels: { app: other }, addresses: [10.1.0.4] }
  worker: { namespace: shop, addresses: [10.1.0.5] }
services: { shop/queue: { addresses: [10.96.0.30], pods: [worker] } }
names: { db.example.com: [203.0.113.5], evil.example.com: [203.0.113.6] }
cases:
`;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-test-"));
});
after(() => rmSync(folder, { recursive: true }));

/** Runs cases, one a line, under a profile. */
function run(cases: readonly string[], options: { profile?: string; head?: string; args?: string[] } = {}) {
  const { profile = PROFILE, head = HEAD, args = [] } = options;
  writeFileSync(join(folder, "web.yaml"), profile);
  const file = join(folder, "test.yaml");
  writeFileSync(file, head + cases.map((text) => `  - { ${text} }\n`).join(""));
  return command(["test", file, ...args]);
}

function command(args: readonly string[]) {
  const { NODE_TEST_CONTEXT: _test, FORCE_COLOR: _force, ...env } = process.env;
  return spawnSync(PORTCULLIS, args, { encoding: "utf8", cwd: folder, env });
}

const WEB = "pod: web, process: /bin/app";

test("names, pods, Services, UDP, ICMP, both directions, listening and questions are judged", () => {
  const { status, stdout, stderr } = run([
    `name: a name, ${WEB}, to: "db.example.com:5432/tcp", expect: allow, rule: shop/web`,
    `name: another name, ${WEB}, to: "evil.example.com:5432/tcp", expect: deny, reason: DnsName`,
    `name: an address that nobody asked for, ${WEB}, to: "203.0.113.5:5432/tcp", expect: deny, reason: Peer`,
    `name: an address that was asked for, ${WEB}, to: "203.0.113.5:5432/tcp", resolved: db.example.com, expect: allow`,
    `name: a pod over both families, ${WEB}, to: "cache:6379/tcp", expect: allow, rule: "shop/web spec.processes[0].network.egress"`,
    `name: another pod, ${WEB}, to: "other:6379/tcp", expect: deny, reason: Peer`,
    `name: a Service's address, ${WEB}, to: "10.96.0.30:5432/tcp", expect: allow`,
    `name: a Service's endpoint, ${WEB}, to: "worker:5432/tcp", expect: allow`,
    `name: UDP, ${WEB}, to: "cache:9/udp", expect: allow`,
    `name: UDP to another port, ${WEB}, to: "cache:10/udp", expect: deny, reason: Port`,
    `name: ICMP, ${WEB}, to: "10.1.0.2/icmp", expect: allow`,
    `name: a question, ${WEB}, dns: db.example.com, expect: allow`,
    `name: a question to another resolver, ${WEB}, dns: db.example.com, to: "9.9.9.9:53/udp", expect: deny, reason: Peer`,
    `name: a pod of another namespace comes in, ${WEB}, from: "proxy:8080/tcp", expect: allow`,
    `name: one of its own does not, ${WEB}, from: "cache:8080/tcp", expect: deny`,
    `name: listening, ${WEB}, listen: 8080/tcp, expect: allow`,
    `name: listening elsewhere, ${WEB}, listen: 22/tcp, expect: alert, reason: Listen`,
    `name: listening on UDP, ${WEB}, listen: 8080/udp, expect: alert`,
    "name: a shell, pod: web, process: /bin/sh, dns: db.example.com, expect: deny, reason: BinaryUnknown",
    "name: behind a link, pod: web, process: /bin/busybox, dns: db.example.com, expect: allow",
    "name: a changed file, pod: web, process: /bin/app, modified: true, dns: db.example.com, expect: deny, reason: BinaryModified",
    `name: nobody, pod: web, unattributed: true, to: "cache:9/udp", expect: deny, reason: Unattributed`,
    "name: no profile, pod: other, process: /bin/app, listen: 1/tcp, expect: unjudged",
    `name: no profile either, pod: other, process: /bin/app, to: "cache:9/udp", expect: unjudged`,
  ]);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /\n24 cases, all passed\n$/);
});

test("a case that comes out differently fails, with what was expected, what came and why; status 1", () => {
  const { status, stdout } = run([
    `name: the shell may, pod: web, process: /bin/sh, to: "cache:6379/tcp", expect: allow`,
    `name: wrong reason, ${WEB}, to: "cache:1/tcp", expect: deny, reason: Peer`,
    `name: wrong rule, ${WEB}, to: "cache:6379/tcp", expect: allow, rule: shop/we`,
    `name: good, ${WEB}, to: "cache:6379/tcp", expect: allow`,
  ]);
  assert.equal(status, 1);
  const file = join(folder, "test.yaml");
  assert.ok(stdout.includes(`FAIL  the shell may\n        ${file}:14\n        expected  allow\n`), stdout);
  assert.match(
    stdout,
    /got {7}deny for BinaryUnknown: no profile lists this executable\n +because {3}no profile lists \/bin\/sh/,
  );
  assert.match(stdout, /FAIL {2}wrong reason\n.*\n +expected {2}deny for Peer\n +got {7}deny for Port/);
  assert.match(stdout, /FAIL {2}wrong rule\n.*\n +expected {2}allow by shop\/we\n +got {7}allow by shop\/web spec/);
  assert.match(stdout, /\n {2}ok {4}good\n\n4 cases, 3 failed\n$/);
});

test("verdicts are those of the profile's own actions; a pod that nobody judges is never allowed", () => {
  const shell = (expect: string) => [`name: a, pod: web, process: /bin/sh, to: "cache:6379/tcp", expect: ${expect}`];
  const under = (actions: string) => ({ profile: PROFILE.replace("[alert, enforce]", actions) });
  assert.equal(run(shell("alert"), under("[alert]")).status, 0);
  const lenient = run(shell("deny"), under("[alert]"));
  assert.equal(lenient.status, 1);
  assert.match(lenient.stdout.replaceAll(/\s+/g, " "), /; the profiles' actions are alert: nothing is dropped/);
  assert.equal(run(shell("count"), under("[]")).status, 0);
  assert.equal(run(shell("unjudged"), under("[learn]")).status, 0);
  assert.equal(run(shell("allow"), under("[learn]")).status, 1);
  assert.match(run(shell("allow"), { profile: PROFILE.replace("app: web", "app: wbe") }).stdout, /got {7}unjudged/);
});

test("a name is allowed only if it may be asked, too", () => {
  const profile = PROFILE.replace("peers: [resolver]\n", "l7: { protocols: [any], dns: [] }\n");
  const { stdout } = run([`name: a, ${WEB}, to: "db.example.com:5432/tcp", expect: allow`], { profile });
  assert.match(stdout, /got {7}deny for Peer: .*\(the\s+question for db\.example\.com\)/);
});

test("JSON for programs", () => {
  const { status, stdout } = run(
    [`name: a, ${WEB}, to: "cache:6379/tcp", expect: allow`, `name: b, ${WEB}, to: "cache:1/tcp", expect: allow`],
    { args: ["-o", "json"] },
  );
  assert.equal(status, 1);
  const { passed, tests } = JSON.parse(stdout);
  assert.equal(passed, false);
  assert.equal(tests[0].name, "the web");
  assert.deepEqual(
    tests[0].cases.map((one: { passed: boolean; line: number }) => [one.passed, one.line]),
    [
      [true, 14],
      [false, 15],
    ],
  );
  assert.deepEqual(tests[0].cases[1].expected, { verdict: "allow", reason: null, rule: null });
  assert.equal(tests[0].cases[1].got.verdict, "deny");
  assert.equal(tests[0].cases[1].got.reason, "Port");
});

test("JUnit's XML for CI systems, whatever the names hold", () => {
  const { status, stdout } = run(
    [
      `name: 'a <b> & "c"', ${WEB}, to: "cache:1/tcp", expect: allow`,
      `name: "d\\x01", ${WEB}, listen: 8080/tcp, expect: allow`,
    ],
    { args: ["-o", "junit"] },
  );
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="portcullis" tests="2" failures="1"/,
  );
  assert.match(
    stdout,
    /<testcase name="a &lt;b&gt; &amp; &quot;c&quot;" classname="[^"]*test\.yaml"[^>]*line="14"[^>]*>\n +<failure message="expected allow, got deny for Port: [^"]*" type="Port">/,
  );
  assert.match(stdout, /<testcase name="d\\x01"/);
  const parsed = spawnSync("python3", ["-c", "import sys, xml.dom.minidom as m; m.parse(sys.stdin)"], {
    input: stdout,
  });
  if (parsed.error === undefined) assert.equal(parsed.status, 0, String(parsed.stderr));
});

test("a mistake in a file names the file, the place, the case and the field; status 2", () => {
  const mistakes: [string, RegExp][] = [
    [
      `name: a, ${WEB}, to: "cache:6379/tcp", expct: allow`,
      /:14:\d+: case "a": expct: is not a field; did you mean expect\?/,
    ],
    [`name: a, ${WEB}, to: "cache:6379/tcp"`, /case "a": expect: is missing/],
    [`name: a, ${WEB}, to: "cache:6379/tcp", expect: denied`, /case "a": expect: "denied" is not one of allow, alert/],
    [`name: a, ${WEB}, to: "cache:6379/tcp", expect: deny, reason: Pear`, /case "a": reason: "Pear" is not one of/],
    [`name: a, ${WEB}, to: "cache:6379/tcp", expect: allow, reason: Peer`, /reason: goes with alert, deny and count/],
    [`name: a, ${WEB}, to: "cache:6379/tcp", expect: deny, rule: shop/web`, /rule: is who allows it/],
    [
      `name: a, pod: wbe, process: /bin/app, listen: 1/tcp, expect: allow`,
      /case "a": pod: "wbe" is none of pods: web, cache/,
    ],
    [`name: a, pod: web, process: app, listen: 1/tcp, expect: allow`, /process: "app" is not an absolute path/],
    [`name: a, pod: web, listen: 1/tcp, expect: allow`, /process: is missing/],
    [`name: a, ${WEB}, unattributed: true, to: "cache:1/tcp", expect: deny`, /unattributed: is traffic of no process/],
    [`name: a, ${WEB}, expect: allow`, /to: a case has one of: to; from; dns; dns and to; listen/],
    [`name: a, ${WEB}, to: "cache:1/tcp", listen: 1/tcp, expect: allow`, /listen: a case has one of/],
    [`name: a, ${WEB}, to: "cache/tcp", expect: allow`, /to: "cache\/tcp": which port/],
    [`name: a, ${WEB}, to: "cach:1/tcp", expect: allow`, /to: "cach:1\/tcp": "cach" is no address, no pod and no name/],
    [`name: a, ${WEB}, dns: "*.example.com", expect: allow`, /dns: "\*\.example\.com" is a pattern/],
    [`name: a, ${WEB}, listen: 1/icmp, expect: allow`, /listen: "1\/icmp": the protocol is one of tcp, udp, sctp/],
  ];
  for (const [text, words] of mistakes) {
    const { status, stderr } = run([text]);
    assert.equal(status, 2, text + stderr);
    assert.match(stderr, words);
    assert.ok(stderr.includes(join(folder, "test.yaml")), stderr);
  }
});

test("a mistake outside the cases, in YAML, in the profiles, or no test at all; status 2", () => {
  const good = [`name: a, ${WEB}, listen: 8080/tcp, expect: allow`];
  const mistakes: [string, RegExp][] = [
    [HEAD.replace("portcullis/v1", "portcullis/v2"), /:1:1: apiVersion: "portcullis\/v2" is not portcullis\/v1/],
    [HEAD.replace("10.1.0.4", "10.1.0"), /pods\.other\.addresses\[0\]: "10\.1\.0" is not an address/],
    [HEAD.replace("shop/queue", "queue"), /services\.queue: is no good key/],
    [
      HEAD.replace("pods: [worker]", "pods: [wroker]"),
      /services\["shop\/queue"\]\.pods\[0\]: "wroker" is none of pods/,
    ],
    [HEAD.replace("evil.example.com", "cache"), /names\.cache: is a pod's name, too/],
    [HEAD.replace("[web.yaml]", "[none.yaml]"), /cannot read .*none\.yaml/],
    [HEAD.replace("{ name: the web }", "{ name: [ }"), /test\.yaml:\d+:\d+: /],
    [`a: ${"[".repeat(20_000)}\n${HEAD}`, /test\.yaml/],
    [
      `a: &a [${"x,".repeat(50)}]\nb: &b [${"*a,".repeat(50)}]\nc: [${"*b,".repeat(50)}]\n${HEAD}`,
      /cannot be read: .*aliases/,
    ],
    [HEAD.replace("kind: PolicyTest", "kind: PolicyTests"), /there is no document of kind PolicyTest in/],
  ];
  for (const [head, words] of mistakes) {
    const { status, stderr } = run(good, { head });
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
  }
  assert.match(
    run(good, { profile: PROFILE.replace("5432", "99999") }).stderr,
    /"portcullis validate .*web\.yaml" shows them/,
  );
});

test("the example passes, and fails under a profile that is wider than it should be", () => {
  assert.equal(command(["test", join(ROOT, "examples/tests")]).status, 0);
  const wide = readFileSync(join(ROOT, "examples/ping.yaml"), "utf8").replace("10.96.0.10/32", "0.0.0.0/0");
  writeFileSync(join(folder, "ping.yaml"), wide);
  writeFileSync(join(folder, "pong.yaml"), readFileSync(join(ROOT, "examples/pong.yaml")));
  const file = join(folder, "example.yaml");
  writeFileSync(file, readFileSync(EXAMPLE, "utf8").replace("../ping.yaml, ../pong.yaml", "ping.yaml, pong.yaml"));
  const { status, stdout } = command(["test", file]);
  assert.equal(status, 1);
  assert.match(stdout, /FAIL {2}my-app goes to pong's own address/);
});

test("kinds that are not policy tests are skipped, so that tests and profiles may share a folder", () => {
  assert.equal(command(["validate", "--strict", join(ROOT, "examples"), EXAMPLE]).status, 0);
  const { stdout } = run([`name: a, ${WEB}, listen: 8080/tcp, expect: allow`], { head: `${PROFILE}---\n${HEAD}` });
  assert.match(stdout, /1 case, all passed/);
});
