/**
 * Connections that end by a reset and begin again at once from the same port, as load balancers and health checks do. cilium/cilium#11742,
 * "Connection tracking issue in connections with a single RST.": the next connection was taken for a part of the former. It has to
 * work at once, and has to be judged anew, by its own first payload and its own process.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { patiently } from "../e2e/harness/patience.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const SERVER = "198.51.100.1";
const ROUNDS = 10;
const http = { protocols: ["http"] as const };

/** Connections from one port, one after the other: each says a word and is reset, or closed. Prints what each got. */
const CLIENT = `
import socket, struct, sys
own, to, port, how, words = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:]
for word in words:
    one = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.settimeout(${patiently(1000) / 1000})
    one.bind(("", own))
    try:
        one.connect((to, port))
        one.sendall(word.encode().decode("unicode_escape").encode())
        print("answered" if one.recv(100) else "ended", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    one.close()
`;
const REQUEST = "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n";

const fixture = await Fixture.start("resets", {
  apps: ["client", "server"],
  profiles: (fixture) => [
    profile("client", [
      entry(PYTHON, {
        egress: {
          cidr4: [`${SERVER}/32`],
          l4: { protocolPorts: [{ protocol: "tcp", port: 7000 }] },
          l7: { protocols: [...http.protocols] },
        },
      }),
    ]),
    profile("server", [
      entry(fixture.program("echo"), {
        ingress: {
          cidr4: ["203.0.113.0/24"],
          l4: { protocolPorts: [{ protocol: "tcp", port: 8080 }] },
          l7: { protocols: [...http.protocols] },
        },
      }),
    ]),
  ],
});
const { outside } = fixture.topology;
const server = fixture.workload("server");

const directions = {
  out: { from: fixture.workload("client"), to: SERVER, port: 7000 },
  in: { from: outside, to: server.ipv4, port: 8080 },
};
const echo = fixture.start(server, fixture.path("bin", "echo"), "tcp4 bind 0.0.0.0 8080 listen echo");
await echo.line("listening");

for (const [direction, { from, to, port }] of Object.entries(directions)) {
  test(`${direction}: ${ROUNDS} connections from one port, each reset, are all answered`, async () => {
    const mark = fixture.agent.events.mark();
    const words = Array(ROUNDS).fill(REQUEST);
    const { stdout, stderr } = await fixture.run(from, PYTHON, [
      "-c",
      CLIENT,
      "4100",
      to,
      String(port),
      "reset",
      ...words,
    ]);
    assert.deepEqual(stdout.trim().split("\n"), Array(ROUNDS).fill("answered"), stderr);
    // Of another connection, what was refused may still come again.
    const refused = fixture.agent.events
      .since(mark, (event) => isVerdict(event) && event.verdict !== "allowed")
      .filter((event) => isVerdict(event) && [event.src.port, event.dst.port].includes(4100));
    assert.deepEqual(refused, []);
  });

  test(`${direction}: the connection after a reset one is judged by its own first payload`, async () => {
    const mark = fixture.agent.events.mark();
    const words = [REQUEST, "no such thing\\n", REQUEST];
    const { stdout } = await fixture.run(from, PYTHON, ["-c", CLIENT, "4200", to, String(port), "reset", ...words]);
    const [first, second, third] = stdout.trim().split("\n");
    assert.deepEqual([first, third], ["answered", "answered"]);
    assert.notEqual(second, "answered");
    await fixture.violation({ reason: "Application", path: "any", proto: "tcp" }, mark);
  });
}

test("the connection after a reset one is its own program's", async () => {
  const evil = fixture.program("evil");
  const { from, to, port } = directions.out;
  const { stdout } = await fixture.run(from, PYTHON, ["-c", CLIENT, "4300", to, String(port), "reset", REQUEST]);
  assert.equal(stdout, "answered\n");
  await fixture.stops(from, evil, `tcp4 reuseaddr bind 0.0.0.0 4300 connect ${to} ${port} send TAG`, {
    reason: "BinaryUnknown",
  });
});
