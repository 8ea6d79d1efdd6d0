import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DROPPED } from "./testing/dropped-event.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

const PROFILE = `
apiVersion: security.datadoghq.com/v1
kind: SecurityProfile
metadata: {name: web, labels: {app: web}}
spec:
  actions: [alert]
  processes:
    - path: /bin/app
      network:
        egress:
          cidr4: [10.0.0.0/8]
          cidr6: ["2001:db8::/32"]
          fqdns: ["*.example.com"]
          l4: {protocols: [icmpv6], protocolPorts: [{protocol: tcp, port: 443}]}
        ingress:
          cidr4: [10.0.0.0/8]
          l4: {protocolPorts: [{protocol: tcp, port: 80}]}
`;

function run(args: string[], input = PROFILE) {
  const command = ["explain", "--profiles", "-", "--label", "app=web", ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...command], {
    input,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, stdout, stderr };
}

test("the answer, the rule behind it, and exit status 0", () => {
  const { status, stdout } = run(["--process", "/bin/app", "--to", "10.0.0.7:443/tcp"]);
  assert.equal(status, 0);
  assert.match(stdout, /^\/bin\/app, in a workload of default with app=web: to 10\.0\.0\.7:443\/tcp\n/);
  assert.match(stdout, /pass {2}Peer +10\.0\.0\.7 +cidr4: 10\.0\.0\.0\/8\n/);
  assert.match(stdout, /^Allowed by default\/web spec\.processes\[0\]\.network\.egress$/m);
});

test("what is denied has exit status 1, whatever the mode makes of it", () => {
  const args = ["--process", "/bin/app", "--to", "192.0.2.1:443/tcp"];
  const { status, stdout } = run(args);
  assert.equal(status, 1);
  assert.match(stdout, /FAIL {2}Peer/);
  assert.match(
    stdout,
    /^Denied: Peer: .*\n {2}with the profiles' actions \(alert\): alerted \(it passes, and is reported\)$/m,
  );
  const learning = run(args, PROFILE.replace("[alert]", "[learn]")).stdout;
  assert.match(learning, /with the profiles' actions \(learn\): allowed \(it passes, and is recorded\)$/m);
  assert.equal(run(["--unattributed", "--to", "10.0.0.7:443"]).status, 1);
});

test("IPv6, protocols without ports, ingress, names and learned addresses", () => {
  const allowed = (...args: string[]) => run(["--process", "/bin/app", ...args]).status;
  assert.equal(allowed("--to", "[2001:db8::1]:443/tcp"), 0);
  assert.equal(allowed("--to", "2001:db8::1/icmpv6"), 0);
  assert.equal(allowed("--to", "[2001:db8::1]/58"), 0);
  assert.equal(allowed("--from", "10.0.0.7:80/tcp"), 0);
  assert.equal(allowed("--from", "10.0.0.7:81/tcp"), 1);
  assert.equal(allowed("--dns", "WWW.Example.com."), 0);
  assert.equal(allowed("--dns", "example.com"), 1);
  assert.equal(allowed("--to", "192.0.2.1:443", "--resolved", "www.example.com"), 0);
  assert.equal(allowed("--dns", "www.example.com.svc.local", "--search-domain", "svc.local"), 0);
});

test("JSON has the question and the whole explanation", () => {
  const { stdout } = run(["--process", "/bin/app", "--to", "10.0.0.7:443/tcp", "-o", "json"]);
  const answer = JSON.parse(stdout);
  assert.deepEqual(answer.traffic.peer, { remote: "10.0.0.7", protocol: 6, port: 443 });
  assert.deepEqual([answer.allowed, answer.reason, answer.blocks[0].layers.length], [true, "Allowed", 3]);
});

test("wrong usage has exit status 2 and names the option", () => {
  const wrong = (args: string[], message: RegExp, input?: string) => {
    const { status, stderr } = run(args, input);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, message);
  };
  const app = ["--process", "/bin/app"];
  wrong(app, /give --to, --from or --dns/);
  wrong(["--to", "10.0.0.7:443"], /which process\?/);
  wrong(["--process", "app", "--to", "10.0.0.7:443"], /--process app: write an absolute path/);
  wrong([...app, "--unattributed", "--to", "10.0.0.7:443"], /--unattributed/);
  wrong([...app, "--to", "10.0.0.7"], /which port\?/);
  wrong([...app, "--to", "10.0.0.7:70000"], /ports end at 65535/);
  wrong([...app, "--to", "10.0.0.7:1/icmp"], /icmp has no ports/);
  wrong([...app, "--to", "10.0.0.7:1/foo"], /the protocol is one of/);
  wrong([...app, "--to", "example.com:443"], /write address:port\/protocol/);
  wrong([...app, "--to", "10.0.0.7:443", "--from", "10.0.0.7:443"], /--from/);
  wrong([...app, "--dns", "*.example.com"], /not a pattern/);
  wrong([...app, "--dns", "a..b"], /--dns a\.\.b/);
  wrong([...app, "--dns", "a.b", "--resolved", "a.b"], /give --to/);
  wrong([...app, "--to", "10.0.0.7:443", "--label", "app"], /write key=value/);
  wrong([...app, "--to", "10.0.0.7:443"], /portcullis validate/, PROFILE.replace("443", "99999"));
  wrong([...app, "--to", "10.0.0.7:443"], /there is no SecurityProfile/, "");
});

const EVENT = { ...DROPPED, dst: { ...DROPPED.dst, name: "api.example.org" } };

/** The answer to an event in a file of its own. */
function runOnEvent(event: object, ...args: string[]) {
  const input = args[0]?.startsWith("\n") ? args.shift() : PROFILE;
  const folder = mkdtempSync(join(tmpdir(), "explain-event-"));
  try {
    const file = join(folder, "events.json");
    writeFileSync(
      file,
      `${JSON.stringify({ time: EVENT.time, type: "ready", workloads: [] })}\n${JSON.stringify(event)}\n`,
    );
    return run(["--event", file, ...args], input);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("an event is answered with the smallest change that would allow it", () => {
  const { status, stdout } = runOnEvent(EVENT);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^To allow it, add this to spec\.processes\[0\] of the profile default\/web:\n {2}network:\n {4}egress:\n {6}fqdns:\n {8}- api\.example\.org$/m,
  );
  const { remedy } = JSON.parse(runOnEvent(EVENT, "-o", "json").stdout);
  assert.deepEqual(remedy, {
    profile: "default/web",
    field: "spec.processes[0]",
    add: { network: { egress: { fqdns: ["api.example.org"] } } },
  });
});

test("an event of a process that the kernel knew by a listed link is answered by that link's rules", () => {
  const event = { ...EVENT, process: { pid: 42, path: "/bin/app-1.2" } };
  const { stdout, stderr } = runOnEvent(event);
  assert.match(stdout, /Judged {2}\/bin\/app-1\.2 is listed as \/bin\/app, a link to it/);
  assert.match(stdout, /Denied: Peer/);
  assert.match(stdout, /^To allow it, add this to spec\.processes\[0\] of the profile default\/web:$/m);
  assert.match(
    stderr,
    /the event's reason is Peer.* taken for what \/bin\/app leads to.* --link LISTED=\/bin\/app-1\.2/,
  );
  const linked = runOnEvent(event, "--link", "/bin/app=/bin/app-1.2");
  assert.equal(linked.stdout, stdout);
  assert.equal(linked.stderr, "");
  const unknown = runOnEvent({ ...event, reason: "BinaryUnknown" });
  assert.match(unknown.stdout, /Denied: BinaryUnknown/);
  assert.equal(unknown.stderr, "");
});

test("of several listed paths the one that was typed is taken for the link, and none where nothing points to one", () => {
  const several = PROFILE.replace(
    "    - path: /bin/app\n",
    "    - path: /usr/bin/wget\n    - path: /usr/bin/nc\n    - path: /bin/app\n",
  );
  const applet = (comm: string) => ({ ...EVENT, process: { pid: 42, path: "/bin/busybox", comm } });
  assert.match(runOnEvent(applet("nc"), several).stdout, /busybox is listed as \/usr\/bin\/nc, a link to it/);
  const { stdout, stderr } = runOnEvent(applet("sh"), several);
  assert.match(stdout, /Denied: BinaryUnknown/);
  assert.match(stderr, /the event's reason is Peer, so a profile listed this process .* --link LISTED=\/bin\/busybox/);
});

test("an event about ingress, a DNS question, and one of a packet of no process", () => {
  const ingress = {
    ...EVENT,
    direction: "ingress",
    src: { ip: "10.0.0.9", port: 999 },
    dst: { ip: "10.0.0.2", port: 81 },
  };
  assert.match(runOnEvent(ingress).stdout, /ingress:\n +l4:\n +protocolPorts:\n +- protocol: tcp\n +port: 81/);
  const question = {
    ...EVENT,
    type: "dns",
    proto: "udp",
    dst: { ip: "10.0.0.53", port: 53 },
    dns: { name: "www.test", type: "A" },
  };
  assert.match(runOnEvent(question).stdout, /fqdns:\n +- www\.test/);
  assert.match(runOnEvent({ ...EVENT, process: null }).stdout, /docs\/reasons\.md says what to do about Unattributed/);
});

test("what the kernel refuses whatever the rules allow is no yes, and the note leads to its reason", () => {
  const toListed = { ...EVENT, dst: { ip: "10.0.0.7", port: 443 } };
  for (const reason of ["Fragment", "Pending", "Capacity", "IpSpoofing"]) {
    const { status, stdout, stderr } = runOnEvent({ ...toListed, reason });
    assert.match(stdout, /^Allowed by default\/web/m);
    assert.equal(status, 1, reason);
    assert.match(stderr, new RegExp(`the event's reason is ${reason} \\(.*docs/reasons\\.md says what to do`));
  }
  const mended = runOnEvent({ ...toListed, reason: "Peer" });
  assert.equal(mended.status, 1);
  assert.match(mended.stderr, /the event's reason is Peer, and these profiles allow it: others were enforced then/);
  assert.equal(runOnEvent({ ...toListed, verdict: "allowed", reason: "Allowed" }).status, 0);
});

test("a question that was not read is not answered with the resolver's address, which may be asked", () => {
  const resolver = PROFILE.replace('fqdns: ["*.example.com"]', 'fqdns: ["*.example.com"]\n          peers: [resolver]');
  const profile = `\n${resolver.replace("tcp, port: 443", "udp, port: 53")}`;
  const event = { ...EVENT, reason: "DnsMalformed", proto: "udp", dst: { ip: "192.0.2.53", port: 53 } };
  const { status, stdout, stderr } = runOnEvent(event, profile);
  assert.equal(status, 1);
  assert.match(stdout, /^Allowed by default\/web/m);
  assert.doesNotMatch(stdout, /To allow it/);
  assert.match(stderr, /the event's reason is DnsMalformed \(.*docs\/reasons\.md says what to do/);
  const overTcp = runOnEvent({ ...event, reason: "Port", proto: "tcp" }, profile).stdout;
  assert.match(overTcp, /^Denied: Port/m);
  assert.match(overTcp, /egress:\n +l4:\n +protocolPorts:\n +- protocol: tcp\n +port: 53/);
});

test("an event of a packet that passed without a rule, as the kernel's own do, says so", () => {
  const solicitation = { proto: "icmpv6", src: { ip: "fe80::1" }, dst: { ip: "ff02::1:ff00:2" } };
  const { stderr } = runOnEvent({ ...EVENT, ...solicitation, process: null, verdict: "allowed", reason: "Allowed" });
  assert.match(stderr, /the packet of this event passed: .* needs no rule; docs\/verdicts\.md has the list/);
});

test("names with search domains: which listed name is meant, and which one to list", () => {
  const app = ["--process", "/bin/app", "--search-domain", "web.svc.local"];
  const meant = run([...app, "--dns", "www.example.com.web.svc.local"]);
  assert.equal(meant.status, 0);
  assert.match(meant.stdout, /fqdns: \*\.example\.com, with a search domain/);
  const other = run([...app, "--dns", "www.example.org.web.svc.local"]);
  assert.equal(other.status, 1);
  assert.match(other.stdout, /FAIL +DNS +\S+ +fqdns: \*\.example\.com$/m);
  assert.match(other.stderr, /if the program asked for www\.example\.org, list that name/);
});

test("a file without an event in it is wrong usage, with words", () => {
  const refused: [object, RegExp][] = [
    [{ ...EVENT, reason: "Because" }, /reason: must be equal to one of/],
    [{ ...EVENT, proto: "arp", reason: "Ethertype" }, /no rule on peers or ports judges arp/],
    [{ ...EVENT, type: "listen", reason: "Listen" }, /ask with --from/],
    [{ time: EVENT.time, type: "ready", workloads: [] }, /no event of the types verdict, dns or listen/],
  ];
  for (const [event, words] of refused) {
    const { status, stderr } = runOnEvent(event);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
  }
});

test("a file that is cut off, or without end, is wrong usage, with the line", () => {
  const folder = mkdtempSync(join(tmpdir(), "explain-cut-"));
  const file = join(folder, "events.json");
  writeFileSync(file, JSON.stringify(EVENT).slice(0, -9));
  for (const [path, words] of [
    [file, /line 1: it is cut off/],
    ["/dev/zero", /line 1: it is longer than a record can be/],
  ] as const) {
    const { status, stderr } = run(["--event", path]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
  }
  rmSync(folder, { recursive: true });
});

test("a workload that no profile selects is not restricted, which is no yes", () => {
  const { status, stdout } = runOnEvent({ ...EVENT, workload: { ...EVENT.workload, labels: { app: "other" } } });
  assert.equal(status, 1);
  assert.match(stdout, /^Not restricted: no profile selects it/m);
});

test("a path that is almost a listed one", () => {
  const { stdout } = run(["--process", "/bin/ap", "--to", "10.0.0.7:443/tcp"]);
  assert.match(stdout, /did you mean \/bin\/app, which is listed\?/);
});

test("a listed path that is a symbolic link stands for the file that it leads to", () => {
  const asked = ["--process", "/bin/busybox", "--to", "10.0.0.7:443/tcp"];
  assert.equal(run(asked).status, 1);
  assert.equal(run([...asked, "--link", "/bin/app=/bin/busybox"]).status, 0);
  assert.match(run([...asked, "--link", "/bin/app"]).stderr, /--link \/bin\/app: write two absolute paths/);
});

test("a denied ingress packet is not compared with names, which ingress does not have", () => {
  const { stdout } = run(["--process", "/bin/app", "--from", "192.0.2.9:80/tcp"]);
  assert.match(stdout, /FAIL {2}Peer +192\.0\.2\.9 +cidr4: cidr4 10\.0\.0\.0\/8/);
});
