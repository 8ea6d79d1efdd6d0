/**
 * glibc waits for a second, its resolver needs longer, and so the answer to the first try comes after the second was sent, and another one
 * after that (cilium/cilium#35613). Late and repeated answers are answers to what was asked: the name opens its address, and nobody is reported
 * spoofing.
 */
import assert from "node:assert/strict";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const RESOLVER = "203.0.113.2";
const ADDRESS = "198.51.100.1";
const NAME = "slow.example.com";
const DELAY = "1.5";

/** Answers each question after a while with an address, and the last one with a wrong id as well if it is asked to. */
const SLOW = `
import socket, struct, sys, threading, time
own, address, delay = sys.argv[1], sys.argv[2], float(sys.argv[3])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((own, 53))
print("listening", flush=True)
def answer(question, peer):
    time.sleep(delay)
    end = question.index(b"\\0", 12) + 5
    kind = struct.unpack(">H", question[end - 4:end - 2])[0]
    forged = b"forged" in question
    found = b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address) if kind == 1 else b""
    head = struct.unpack(">H", question[:2])[0] ^ (0x5555 if forged else 0)
    server.sendto(struct.pack(">6H", head, 0x8180, 1, 1 if found else 0, 0, 0) + question[12:end] + found, peer)
while True:
    threading.Thread(target=answer, args=server.recvfrom(512), daemon=True).start()
`;
const LOOKUP = `
import socket, sys, time
try:
    print(*sorted({found[4][0] for found in socket.getaddrinfo(sys.argv[1], 7000, type=socket.SOCK_STREAM)}))
    with socket.create_connection((sys.argv[2], 7000), timeout=1) as peer:
        peer.sendall(b"x")
        print("answered" if peer.recv(1) else "ended")
except OSError as error:
    print(type(error).__name__)
`;

const fixture = await Fixture.start("slow", {
  apps: ["app"],
  profiles: (fixture) => {
    const folder = join("/etc/netns", fixture.workload("app").name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "resolv.conf"), `nameserver ${RESOLVER}\noptions timeout:1 attempts:4\n`);
    const rules = {
      cidr4: [`${RESOLVER}/32`],
      fqdns: ["*.example.com"],
      l4: { protocolPorts: [{ protocol: "udp", port: 53 } as const, { protocol: "tcp", port: 7000 } as const] },
    };
    return [profile("app", [egress(PYTHON, rules)], { attacks: ["dns-spoofing"] })];
  },
});
const app = fixture.workload("app");
const resolver = fixture.start(fixture.topology.outside, PYTHON, ["-c", SLOW, RESOLVER, ADDRESS, DELAY]);
await resolver.line("listening");
const lookup = (name: string) => fixture.run(app, PYTHON, ["-c", LOOKUP, name, ADDRESS], { ownResolver: true });
const refused = (mark: number) =>
  fixture.agent.events.since(mark, (event) => isVerdict(event) && event.verdict !== "allowed");

test("answers that come after the next try was sent are answers", async () => {
  const mark = fixture.agent.events.mark();
  const { stdout } = await lookup(NAME);
  assert.deepEqual(stdout.trim().split("\n"), [ADDRESS, "answered"]);
  // Those to the second try.
  await new Promise((settle) => setTimeout(settle, Number(DELAY) * 1000));
  assert.deepEqual(refused(mark), []);
});

test("answers with another number are spoofed, and reported", async () => {
  const mark = fixture.agent.events.mark();
  const { stdout } = await lookup("forged.example.com");
  assert.equal(stdout, "gaierror\n");
  await fixture.violation({ reason: "DnsSpoofing", path: "any", proto: "udp" }, mark);
});
