/**
 * Section 4: a flow keeps the direction in which it began, and what is known of its payload, when another socket of the same
 * rights goes on with it: a server that is started again, a second worker, the child of a connection that began with a
 * cookie.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { addressRecord, answer, prefixed, question } from "../packets/dns.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { egress, ingress, profile, RESOLVER } from "./harness/profiles.ts";
import { runIn } from "./harness/topology.ts";

const OUTSIDE = ["203.0.113.0/24", "198.51.100.0/24"];
const DNS = "198.51.100.53";
const UDP_IDLE_MS = 1000;

const fixture = await Fixture.start("replaced", {
  apps: ["web"],
  zone: { "short.example.com": { a: ["198.51.100.1"], ttl: 1 }, "other.example.com": { a: ["198.51.100.2"], ttl: 1 } },
  agentArgs: ["--fqdn-min-ttl", "1s", "--fqdn-grace", "100ms", "--udp-idle", `${UDP_IDLE_MS}ms`],
  profiles: (fixture) => [
    profile("web", [
      ingress(fixture.program("server"), {
        cidr4: OUTSIDE,
        cidr6: ["2001:db8::/32"],
        l4: { protocolPorts: [{ protocol: "udp", port: 9001, endPort: 9009 }] },
      }),
      ingress(fixture.program("http"), {
        cidr4: OUTSIDE,
        l4: { protocolPorts: [{ protocol: "tcp", port: 8080 }] },
        l7: { protocols: ["http"] },
      }),
      ingress(fixture.program("greeter"), {
        cidr4: OUTSIDE,
        cidr6: ["2001:db8::/32"],
        l4: { protocolPorts: [{ protocol: "tcp", port: 8090 }] },
      }),
      ingress(fixture.program("names"), {
        cidr4: OUTSIDE,
        l4: { protocolPorts: [{ protocol: "tcp", port: 53 }] },
        l7: { protocols: ["dns"] },
      }),
      egress(fixture.program("clock"), {
        cidr4: [...RESOLVER.cidr4],
        fqdns: ["short.example.com"],
        l4: { protocolPorts: [...RESOLVER.ports, { protocol: "udp", port: 7000 }] },
      }),
    ]),
  ],
});
const web = fixture.workload("web");
const { outside } = fixture.topology;
const server = fixture.path("bin", "server");
const visitor = fixture.program("visitor");
const stranger = fixture.program("stranger");

/** Asks, waits for a line, and asks again from the same port. */
function askTwice(at: number, from: number, address = web.ipv4) {
  const [family, any] = address.includes(":") ? ["udp6", "::"] : ["udp4", "0.0.0.0"];
  const once = `sendto ${address} ${at} x recv`;
  return fixture.start(
    outside,
    visitor,
    `timeout ${patiently(700)} ${family} bind ${any} ${from} ${once} wait ${once} ${once}`,
  );
}

for (const [family, any, address, at] of [
  ["udp4", "0.0.0.0", web.ipv4, 9001],
  ["udp6", "::", web.ipv6, 9006],
] as const) {
  test(`§4 UDP: a server that is started again goes on answering a client that goes on asking (${family})`, async () => {
    const first = fixture.start(web, server, `${family} bind ${any} ${at} echo`);
    await first.line("ready");
    const client = askTwice(at, 5001, address);
    await client.line("waiting");
    await first.kill();
    const second = fixture.start(web, server, `${family} bind ${any} ${at} echo`);
    await second.line("ready");
    client.tell();
    assert.equal((await client.finish()).code, 0);
    await second.kill();
  });
}

test("§4 UDP: what another executable answers in the place of a server is stopped", async () => {
  const first = fixture.start(web, server, "udp4 bind 0.0.0.0 9002 echo");
  await first.line("ready");
  const client = askTwice(9002, 5002);
  await client.line("waiting");
  await first.kill();
  const mark = fixture.agent.events.mark();
  const second = fixture.start(web, stranger, "udp4 bind 0.0.0.0 9002 echo");
  await second.line("ready");
  await fixture.run(web, stranger, `udp4 reuseaddr bind ${web.ipv4} 9003 sendto ${outside.ipv4} 5002 x`);
  client.tell();
  assert.equal((await client.finish()).code, 3);
  await fixture.violation({ reason: "BinaryUnknown", path: stranger, proto: "udp" }, mark);
  await second.kill();
});

test("§4 UDP: a second worker goes on when the first ends", async () => {
  const first = fixture.start(web, server, "udp4 reuseport bind 0.0.0.0 9004 echo");
  await first.line("ready");
  const client = askTwice(9004, 5004);
  await client.line("waiting");
  const second = fixture.start(web, server, "udp4 reuseport bind 0.0.0.0 9004 echo");
  await second.line("ready");
  await first.kill();
  client.tell();
  assert.equal((await client.finish()).code, 0);
  await second.kill();
});

test("§4 UDP: a connected socket of the same port goes on after the listener's first answer", async () => {
  const verbs = `timeout ${patiently(3000)} udp4 reuseaddr bind 0.0.0.0 9005 print ready answer udp4 reuseaddr bind 0.0.0.0 9005 connectpeer send hello recv send bye`;
  const listener = fixture.start(web, server, verbs);
  await listener.line("ready");
  const client = `timeout ${patiently(1000)} udp4 bind 0.0.0.0 5005 sendto ${web.ipv4} 9005 x recv recv sendto ${web.ipv4} 9005 y recv`;
  const { code, stdout } = await fixture.run(outside, visitor, client);
  assert.deepEqual([code, stdout.trim().split("\n")], [0, ["x", "hello", "bye"]]);
  assert.equal((await listener.finish()).code, 0);
});

/** Connections of the workload `web` begin with a cookie: nothing is kept of them until they are complete. */
function useCookies(): void {
  runIn(web.name, "sh", "-c", "echo 2 > /proc/sys/net/ipv4/tcp_syncookies");
}

for (const [family, any, own, address] of [
  ["tcp4", "0.0.0.0", outside.ipv4, web.ipv4],
  ["tcp6", "::", outside.ipv6, web.ipv6],
] as const) {
  test(`§4 TCP: a client may come again from its port, where the server has closed the connection before (${family})`, async () => {
    const greet = "accept send hello close";
    const greeter = fixture.start(
      web,
      fixture.path("bin", "greeter"),
      `timeout ${patiently(3000)} ${family} reuseaddr bind ${any} 8090 listen ${greet} ${greet}`,
    );
    const once = `${family} reuseaddr bind ${own} 4090 connect ${address} 8090 recv sleep 50 close`;
    await greeter.line("listening");
    assert.equal((await fixture.run(outside, visitor, `timeout ${patiently(2000)} ${once}`)).code, 0);
    assert.match(runIn(web.name, "ss", "-Htan", "state", "time-wait"), /:8090/);
    assert.equal((await fixture.run(outside, visitor, `timeout ${patiently(2000)} ${once}`)).code, 0);
    assert.equal((await greeter.finish()).code, 0);
  });
}

test("§4 TCP: a long response on a connection that began with a cookie, where layer 7 is judged", async () => {
  useCookies();
  const more = Array.from({ length: 4 }, () => ["sendsize", "60000", "x"]).flat();
  const head = ["sendsize", "60000", "HTTP/1.1 200 OK\r\n"];
  const verbs = [
    "timeout",
    "3000",
    "tcp4",
    "bind",
    "0.0.0.0",
    "8080",
    "listen",
    "accept",
    "recv",
    ...head,
    ...more,
    "recv",
  ];
  const listener = fixture.start(web, fixture.path("bin", "http"), verbs);
  await listener.line("listening");
  const client = ["timeout", "1500", "tcp4", "connect", web.ipv4, "8080", "send", "GET / HTTP/1.1\r\n\r\n"];
  const { code } = await fixture.run(outside, visitor, [...client, "recvsize", "300000", "send", "x"]);
  assert.equal(code, 0);
  await listener.kill();
});

test("§4 TCP: a long DNS answer on a connection that began with a cookie", async () => {
  useCookies();
  const records = Array.from({ length: 250 }, (_, i) => addressRecord(`192.0.2.${i + 1}`));
  const bytes = prefixed(answer("long.example.com", records));
  const reply = Buffer.from(bytes).toString("hex");
  const asked = Buffer.from(prefixed(question("long.example.com"))).toString("hex");
  const listener = fixture.start(
    web,
    fixture.path("bin", "names"),
    `timeout ${patiently(3000)} tcp4 bind 0.0.0.0 53 listen accept recv sendhex ${reply} recvsize 1 sendhex ${reply} recv`,
  );
  await listener.line("listening");
  const { code } = await fixture.run(
    outside,
    visitor,
    `timeout ${patiently(1500)} tcp4 connect ${web.ipv4} 53 sendhex ${asked} recvsize ${bytes.length} sendhex ${asked} recvsize ${bytes.length}`,
  );
  assert.equal(code, 0);
  await listener.kill();
});

/** As if other flows had taken their places. */
function forgetFlows(): void {
  using flows = openMap(fixture.agent.pinRoot, "flows");
  flows.clear();
}

test("§4 TCP: a connection whose flow was forgotten goes on, where layer 7 is judged", async () => {
  const verbs = [
    "timeout",
    "5000",
    "tcp4",
    "bind",
    "0.0.0.0",
    "8080",
    "listen",
    "accept",
    "recv",
    "wait",
    "send",
    "more of it",
    "recv",
  ];
  const listener = fixture.start(web, fixture.path("bin", "http"), verbs);
  await listener.line("listening");
  const ask = ["timeout", "1500", "tcp4", "connect", web.ipv4, "8080", "send", "POST / HTTP/1.1\r\n\r\n"];
  const client = fixture.start(outside, visitor, [...ask, "wait", "send", "the body", "recv"]);
  await client.line("waiting");
  await listener.line("waiting");
  forgetFlows();
  listener.tell();
  client.tell();
  assert.equal((await client.finish()).code, 0);
  await listener.kill();
});

test("§4 TCP: forgetting its flow lets no first payload by", async () => {
  const verbs = ["timeout", "5000", "tcp4", "bind", "0.0.0.0", "8080", "listen", "accept", "recv"];
  const listener = fixture.start(web, fixture.path("bin", "http"), verbs);
  await listener.line("listening");
  const mark = fixture.agent.events.mark();
  const client = fixture.start(outside, visitor, `tcp4 connect ${web.ipv4} 8080 wait send SSH-2.0-x`);
  await client.line("waiting");
  await sleep(50);
  forgetFlows();
  client.tell();
  await fixture.violation({ reason: "Application", direction: "ingress", path: fixture.path("bin", "http") }, mark);
  await listener.kill();
});

const LEARNS = `udp4 connect ${DNS} 53 ask short.example.com A close`;
/** Longer than the flow, and the name's address, are good for. */
const SILENCE_MS = 2500;

test("§5 UDP: a socket that was connected while the name was good may go on after any silence", async () => {
  const clock = fixture.path("bin", "clock");
  const verbs = `${LEARNS} udp4 connect 198.51.100.1 7000 send a recv wait send b recv`;
  const running = fixture.start(web, clock, verbs);
  await running.line("waiting");
  await sleep(SILENCE_MS);
  await fixture.stops(web, clock, "udp4 connect 198.51.100.1 7000 send TAG recv", { reason: "Peer" });
  running.tell();
  assert.equal((await running.finish()).code, 0);
});

test("§5 UDP: a socket that is connected anew, or sends without, needs a name that is good now", async () => {
  const clock = fixture.path("bin", "clock");
  const verbs = `${LEARNS} udp4 sendto 198.51.100.1 7000 a recv wait sendto 198.51.100.1 7000 b recv`;
  const running = fixture.start(web, clock, verbs);
  const again = `${LEARNS} udp4 connect 198.51.100.1 7000 send a recv wait connect 198.51.100.1 7000 send b recv`;
  const reconnected = fixture.start(web, clock, again);
  await running.line("waiting");
  await reconnected.line("waiting");
  await sleep(SILENCE_MS);
  running.tell();
  reconnected.tell();
  assert.equal((await running.finish()).code, 3);
  assert.equal((await reconnected.finish()).code, 3);
});
