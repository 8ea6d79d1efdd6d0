/**
 * BIND as a pod that others ask: long zone transfers, connections that begin with a cookie (`net.ipv4.tcp_syncookies`, as under a flood
 * of SYNs), and many questions in one write, which leave as one packet before they are cut (cilium/cilium#25877). What holds for those who ask has to hold
 * for those who answer.
 */
import assert from "node:assert/strict";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { ingress, profile } from "../e2e/harness/profiles.ts";
import { runIn } from "../e2e/harness/topology.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const DIG = "/usr/bin/dig";
const NAMES = 9000;
const MANY = 200;

const fixture = await Fixture.start("authoritative", {
  apps: ["dns"],
  profiles: (fixture) => [
    profile("dns", [
      ingress(fixture.program("named", "/usr/sbin/named"), {
        cidr4: ["203.0.113.0/24"],
        l4: {
          protocolPorts: [
            { protocol: "tcp", port: 53 },
            { protocol: "udp", port: 53 },
          ],
        },
        l7: { protocols: ["dns"] },
      }),
    ]),
  ],
});
const pod = fixture.workload("dns");
const { outside } = fixture.topology;

mkdirSync(fixture.path("zone"));
const hosts = Array.from({ length: NAMES }, (_, index) => `n${index} A 192.0.2.${index % 256}`);
writeFileSync(
  fixture.path("zone", "zone"),
  `$TTL 300\n@ SOA ns admin 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n${hosts.join("\n")}\n`,
);
writeFileSync(
  fixture.path("zone", "conf"),
  `options { directory "${fixture.path("zone")}"; listen-on { ${pod.ipv4}; }; listen-on-v6 { none; }; pid-file none; recursion no;
  dnssec-validation no; allow-transfer { any; }; notify no; };
controls { };
zone example.com { type primary; file "zone"; };
`,
);
const named = fixture.start(pod, fixture.path("bin", "named"), ["-g", "-c", fixture.path("zone", "conf")]);
for (let tries = 0; !/ running$/m.test(named.stderr); tries += 1) {
  assert.ok(tries < 100, named.stderr);
  await new Promise((settle) => setTimeout(settle, 100));
}

/** All questions in one write over one connection. Prints how many were answered. */
const ASK_MANY = `
import socket, struct, sys
server, count = sys.argv[1], int(sys.argv[2])
def question(id):
    name = b"".join(bytes([len(label)]) + label for label in (b"n%d" % id, b"example", b"com"))
    return struct.pack(">6H", id, 0, 1, 0, 0, 0) + name + struct.pack(">BHH", 0, 1, 1)
client = socket.create_connection((server, 53), 5)
client.sendall(b"".join(struct.pack(">H", len(question(id))) + question(id) for id in range(count)))
stream = client.makefile("rb")
answers = [stream.read(struct.unpack(">H", stream.read(2))[0]) for _ in range(count)]
print(len({answer[:2] for answer in answers if answer[7] >= 1}))
`;

for (const cookies of [1, 2]) {
  const how = cookies === 2 ? "on connections that begin with a cookie" : "as usual";
  const prepare = () => {
    runIn(pod.name, "sh", "-c", `echo ${cookies} > /proc/sys/net/ipv4/tcp_syncookies`);
    return fixture.agent.events.mark();
  };
  // On several processors one segment may overtake another: it is refused, and comes again.
  const refused = (mark: number) =>
    fixture.agent.events.since(
      mark,
      (event) => isVerdict(event) && event.verdict !== "allowed" && event.reason !== "Capacity",
    );

  test(`a zone is transferred, ${how}`, async () => {
    const mark = prepare();
    const { stdout } = await fixture.run(outside, DIG, ["+tries=1", "+time=3", `@${pod.ipv4}`, "example.com", "AXFR"]);
    assert.equal(stdout.match(/^n\d+\.example\.com\./gm)?.length, NAMES);
    assert.deepEqual(refused(mark), []);
  });

  test(`${MANY} questions in one write, ${how}`, async () => {
    const mark = prepare();
    const { stdout, stderr } = await fixture.run(outside, PYTHON, ["-c", ASK_MANY, pod.ipv4, String(MANY)]);
    assert.equal(stdout.trim(), String(MANY), stderr);
    assert.deepEqual(refused(mark), []);
  });
}

test("another program at that port answers nobody", async () => {
  await named.kill();
  const stranger = fixture.program("stranger", "/usr/sbin/named");
  const other = fixture.start(pod, stranger, ["-g", "-c", fixture.path("zone", "conf")]);
  for (let tries = 0; !/ running$/m.test(other.stderr); tries += 1) {
    assert.ok(tries < 100, other.stderr);
    await new Promise((settle) => setTimeout(settle, 100));
  }
  const mark = fixture.agent.events.mark();
  const { stdout } = await fixture.run(outside, DIG, [
    "+short",
    "+tries=1",
    "+time=1",
    `@${pod.ipv4}`,
    "n1.example.com",
  ]);
  assert.doesNotMatch(stdout, /^192/);
  await fixture.violation({ reason: "BinaryUnknown", path: stranger, direction: "ingress" }, mark);
});
