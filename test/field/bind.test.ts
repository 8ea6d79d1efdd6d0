/**
 * BIND as name server, with its own tools and Unbound before it: zone transfers, dynamic updates, notifications, signed questions,
 * long answers and many questions at once were taken for malformed, or not learned (kubernetes-sigs/external-dns#2154,
 * PowerDNS/pdns#12250, coredns/coredns#1899, skynetservices/skydns#217, cilium/cilium#31197, cilium/cilium#25877).
 */
import assert from "node:assert/strict";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const SERVER = "203.0.113.2";
/** Names that are asked at once. */
const MANY = 200;
const KEY = "hmac-sha256:update:c2VjcmV0IG9mIHRoZSB0ZXN0cyBvbmx5";
/** As long as BIND follows one. */
const CHAIN = Array.from({ length: 10 }, (_, index) => `c${index}.example.com`);
const RULES: EgressRules = {
  cidr4: [`${SERVER}/32`],
  l4: {
    protocolPorts: [53, 7000].flatMap((port) => [
      { protocol: "udp", port } as const,
      { protocol: "tcp", port } as const,
    ]),
  },
};
/** What a process that keeps a zone may do, and one that only connects to names of it. */
const KEEPER: EgressRules = { ...RULES, l7: { protocols: ["dns"], dns: ["example.com", "*.example.com"] } };
const VISITOR: EgressRules = { ...RULES, fqdns: ["example.com", "*.example.com"] };

const fixture = await Fixture.start("bind", {
  apps: ["app"],
  profiles: (fixture) => [
    profile("app", [
      entry(fixture.program("dig", "/usr/bin/dig"), { egress: KEEPER }),
      entry(fixture.program("nsupdate", "/usr/bin/nsupdate"), { egress: KEEPER }),
      entry(fixture.program("visiting-dig", "/usr/bin/dig"), { egress: VISITOR }),
      entry(fixture.program("visiting-nsupdate", "/usr/bin/nsupdate"), { egress: VISITOR }),
      entry(fixture.program("visitor"), { egress: VISITOR }),
      entry(fixture.program("unbound", "/usr/sbin/unbound"), { egress: { ...RULES, fqdns: ["*"] } }),
      entry(PYTHON, { egress: VISITOR }),
    ]),
  ],
});
const app = fixture.workload("app");

mkdirSync(fixture.path("named"));
writeFileSync(
  fixture.path("named", "zone"),
  `$TTL 300
@ SOA ns admin 1 3600 600 86400 300
@ NS ns
ns A ${SERVER}
www A 198.51.100.1
printer\\032in\\032b\\252ro._ipp._tcp TXT "one"
${CHAIN.map((name, index) => `${name}. CNAME ${CHAIN[index + 1] ?? "www.example.com"}.`).join("\n")}
*.wild A 198.51.100.1
${Array.from({ length: 250 }, (_, index) => `many AAAA 2001:db8:7::${(index + 1).toString(16)}`).join("\n")}
many AAAA 2001:db8:1::1
`,
);
writeFileSync(
  fixture.path("named", "conf"),
  `key update { algorithm hmac-sha256; secret "${KEY.split(":")[2]}"; };
options {
  directory "${fixture.path("named")}"; listen-on { ${SERVER}; }; listen-on-v6 { none; }; pid-file none; recursion no;
  max-records-per-type 0; dnssec-validation no; allow-transfer { any; }; minimal-responses yes; notify no;
};
controls { };
zone example.com { type primary; file "zone"; allow-update { key update; }; ixfr-from-differences yes; };
`,
);
const named = fixture.start(fixture.topology.outside, "/usr/sbin/named", ["-g", "-c", fixture.path("named", "conf")]);
for (let tries = 0; !/ running$/m.test(named.stderr); tries += 1) {
  assert.ok(tries < 100, named.stderr);
  await new Promise((settle) => setTimeout(settle, 100));
}

const dig = async (args: string, program = "dig") => {
  const common = ["+tries=1", "+time=2", `@${SERVER}`];
  const { stdout } = await fixture.run(app, fixture.path("bin", program), [...common, ...args.split(" ")]);
  return stdout;
};

const update = async (program: string, options: string[], name: string) => {
  const running = fixture.start(app, fixture.path("bin", program), ["-t", "1", "-r", "0", ...options]);
  for (const line of [`server ${SERVER}`, "zone example.com", `update add ${name} 60 A 192.0.2.9`, "send", "quit"]) {
    running.tell(line);
  }
  return await running.finish(15_000);
};

for (const transport of ["+notcp", "+tcp"]) {
  test(`dig ${transport}: each of its options that honest resolvers use`, async () => {
    for (const options of [
      "",
      "+cookie",
      "+nsid",
      "+subnet=2001:db8::/56",
      "+padding=128",
      "+dnssec",
      "+keepalive",
      "+noedns",
    ]) {
      const answer = await dig(
        `${transport} ${options} www.example.com A`.trim().replaceAll("  ", " "),
        "visiting-dig",
      );
      assert.match(answer, /198\.51\.100\.1/, options);
    }
  });

  test(`dig ${transport}: errors without a question, signed questions, NOTIFY, STATUS`, async () => {
    assert.match(await dig(`${transport} +edns=100 +noednsneg www.example.com`), /status: BADVERS/);
    assert.match(await dig(`${transport} -y ${KEY} www.example.com`), /TSIG/);
    assert.match(await dig(`${transport} +opcode=notify example.com SOA`), /opcode: NOTIFY/);
    assert.match(await dig(`${transport} +opcode=status example.com SOA`), /opcode: STATUS, status: NOTIMP/);
  });

  test(`nsupdate ${transport}: a zone is updated, signed`, async () => {
    const name = `new${transport.length}.example.com`;
    const options = ["-y", KEY, ...(transport === "+tcp" ? ["-v"] : [])];
    const { code, stderr } = await update("nsupdate", options, name);
    assert.equal(code, 0, stderr);
    assert.match(await dig(`+short ${name}`), /192\.0\.2\.9/);
  });
}

test("AXFR and IXFR: a zone is transferred", async () => {
  assert.match(await dig("example.com AXFR"), /XFR size: 2\d\d records/);
  assert.match(await dig("example.com IXFR=1"), /XFR size: \d+ records/);
  assert.match(await dig(`-y ${KEY} example.com AXFR`), /XFR size: 2\d\d records/);
});

test("who may only connect to names sends nothing of his own with a question", async () => {
  const mark = fixture.agent.events.mark();
  await update("visiting-nsupdate", ["-y", KEY], "evil.example.com");
  await fixture.violation({ reason: "DnsName", path: fixture.path("bin", "visiting-nsupdate") }, mark);
  assert.doesNotMatch(await dig("+short evil.example.com"), /192/);
  assert.doesNotMatch(await dig(`-y ${KEY} www.example.com`, "visiting-dig"), /198\.51\.100\.1/);
  assert.doesNotMatch(await dig("+tcp example.com IXFR=1", "visiting-dig"), /XFR size/);
});

test("names with spaces and bytes beyond ASCII", async () => {
  const name = "printer\\032in\\032b\\252ro._ipp._tcp.example.com";
  assert.match(await dig(`${name} TXT`, "visiting-dig"), /"one"/);
});

test("a chain of ten CNAME records leads to an address that may be connected to", async () => {
  await fixture.passes(
    app,
    fixture.path("bin", "visitor"),
    `udp4 connect ${SERVER} 53 ask ${CHAIN[0]} A udp4 sendto 198.51.100.1 7000 TAG recv`,
  );
});

test("an answer with 251 addresses, over TCP: the last one may be connected to", async () => {
  await fixture.passes(
    app,
    fixture.path("bin", "visitor"),
    `tcp4 connect ${SERVER} 53 ask many.example.com AAAA udp6 sendto 2001:db8:1::1 7000 TAG recv`,
  );
});

const QUESTIONS = `
import socket, struct, sys
server, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def question(id):
    name = b"".join(bytes([len(label)]) + label for label in (b"n%d" % id, b"wild", b"example", b"com"))
    return struct.pack(">6H", id, 0x100, 1, 0, 0, 0) + name + struct.pack(">BHH", 0, 1, 1)
`;
/** All questions in one write over one connection. Prints how many were answered. */
const OVER_TCP = `${QUESTIONS}
client = socket.create_connection((server, port), 5)
client.sendall(b"".join(struct.pack(">H", len(question(id))) + question(id) for id in range(count)))
stream = client.makefile("rb")
answers = [stream.read(struct.unpack(">H", stream.read(2))[0]) for _ in range(count)]
print(len({answer[:2] for answer in answers if answer[7] == 1}))
`;
/** One datagram for each question, without waiting. */
const OVER_UDP = `${QUESTIONS}
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(4)
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
for id in range(count): client.sendto(question(id), (server, port))
answered = set()
try:
    while len(answered) < count:
        answer = client.recv(4096)
        if answer[7] == 1: answered.add(answer[:2])
except TimeoutError: pass
print(len(answered))
`;

test(`${MANY} questions in one write over one TCP connection are all answered`, async () => {
  const { stdout, stderr } = await fixture.run(app, PYTHON, ["-c", OVER_TCP, SERVER, "53", String(MANY)]);
  assert.equal(stdout.trim(), String(MANY), stderr);
});

test(`a resolver that forwards over TCP answers ${MANY} names at once`, async () => {
  const conf = fixture.path("unbound.conf");
  writeFileSync(
    conf,
    `server:
  interface: 127.0.0.1@5399
  username: ""
  chroot: ""
  directory: "${fixture.path()}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  so-rcvbuf: 1m
  tcp-upstream: yes
  module-config: "iterator"
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: ${SERVER}
`,
  );
  const unbound = fixture.start(app, fixture.path("bin", "unbound"), ["-d", "-c", conf]);
  for (let tries = 0; !unbound.stderr.includes("start of service"); tries += 1) {
    assert.ok(tries < 100, unbound.stderr);
    await new Promise((settle) => setTimeout(settle, 100));
  }
  const { stdout, stderr } = await fixture.run(app, PYTHON, ["-c", OVER_UDP, "127.0.0.1", "5399", String(MANY)]);
  assert.equal(stdout.trim(), String(MANY), stderr);
});
