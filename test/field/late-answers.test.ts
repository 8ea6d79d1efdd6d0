/**
 * A program closes its UDP socket before the answers are there, as a browser does that is closed; its kernel tells each sender that
 * nobody is there any more, while a ping is running. evilsocket/opensnitch#929, "Opensnitch gets confused when ping running at
 * the same time as browsing with Firefox": the kernel's ICMP errors were taken for what the owner of a raw ICMP socket sends.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const SERVER = "198.51.100.1";
const PINGED = "198.51.100.2";
const PORT = 9400;
const ASKERS = 5;

/** Answers each datagram late, and says what the network says to that. */
const LATE = `
import socket, sys, time
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, port))
print("listening", flush=True)
peers = [server.recvfrom(100)[1] for _ in range(count)]
time.sleep(0.3)
for peer in peers:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((address, port))
    one.connect(peer)
    one.send(b"late")
    one.settimeout(2)
    try:
        one.recv(100)
    except ConnectionRefusedError:
        print("refused", flush=True)
    except TimeoutError:
        print("silence", flush=True)
    one.close()
`;

const fixture = await Fixture.start("late", {
  apps: ["app"],
  profiles: (fixture) => [
    profile("app", [
      egress(fixture.program("browser"), {
        cidr4: [`${SERVER}/32`],
        l4: { protocolPorts: [{ protocol: "udp", port: PORT }] },
      }),
      egress(fixture.program("ping", "/bin/busybox"), { cidr4: [`${PINGED}/32`], l4: { protocols: ["icmp"] } }),
    ]),
  ],
});
const app = fixture.workload("app");
const browser = fixture.path("bin", "browser");
const ping = fixture.path("bin", "ping");

test("answers to a closed socket are refused at once, and the refusals are nobody else's", async () => {
  const mark = fixture.agent.events.mark();
  // busybox pings by a raw socket.
  const pinging = fixture.start(app, ping, ["-c", "10", "-i", "0.2", PINGED]);
  const server = fixture.start(fixture.topology.outside, PYTHON, ["-c", LATE, SERVER, String(PORT), String(ASKERS)]);
  await server.line("listening");
  for (let asker = 0; asker < ASKERS; asker++) {
    assert.equal((await fixture.run(app, browser, `udp4 connect ${SERVER} ${PORT} send x`)).code, 0);
  }
  const { stdout, stderr } = await server.finish();
  assert.deepEqual(stdout.trim().split("\n").slice(1), Array(ASKERS).fill("refused"), stderr);
  const pings = await pinging.finish();
  assert.match(pings.stdout, /10 packets transmitted, 10 packets received/, pings.stderr);

  const events = fixture.agent.events.since(mark, isVerdict).filter(isVerdict);
  assert.deepEqual(
    events.filter(({ verdict }) => verdict !== "allowed"),
    [],
  );
  const pingTalksTo = events.filter(({ process }) => process?.path === ping).map(({ dst, src }) => [src.ip, dst.ip]);
  assert.ok(pingTalksTo.length > 0);
  assert.ok(
    pingTalksTo.every((ends) => ends.includes(PINGED)),
    JSON.stringify(pingTalksTo),
  );
});

test("the ping may still talk to nobody else", async () => {
  const mark = fixture.agent.events.mark();
  const { stdout } = await fixture.run(app, ping, ["-c", "1", "-W", "1", SERVER]);
  assert.match(stdout, /0 packets received/);
  await fixture.violation({ reason: "Peer", path: ping, proto: "icmp" }, mark);
});
