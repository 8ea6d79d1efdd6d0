/**
 * What records say of TCP connections is what TCP itself says (`ss -ti`), over a link that delays and loses; and why connects failed, in each
 * of the ways that they can: refused, unreachable, without an answer, given up, denied, reset, of both families.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { AgentEvent, FlowEvent } from "../../src/flow/record.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { ANYTHING, egress, entry, profile } from "./harness/profiles.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** Behind the slow link. */
const FAR = "192.0.2.1";
const DELAY_MS = 25;
/** So long the servers need for an answer. */
const THINKING_MS = 40;
/** Small kernels have no tunnels to be made of a process. */
const NO_TUNNELS = existsSync("/dev/net/tun") ? false : "this kernel has no /dev/net/tun";
const NS_PER_MS = 1e6;
/** Nobody listens. */
const CLOSED = 7999;
const LISTENING = 7901;

/** Answers five bytes each time, some of them only after a while. */
const ANSWER = `import socket, time
def answer(s):
    while data := s.recv(5, socket.MSG_WAITALL):
        if data == b"think": time.sleep(${THINKING_MS / 1000})
        s.sendall(data)
    s.close()
`;

/** Two ends of a link, between this namespace and one that is made here, with a server; it loses what says so, once. */
const SLOW_LINK = `${ANSWER}import ctypes, fcntl, os, select, struct, subprocess, threading
from collections import deque
def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH", name.encode(), 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    return fd
def ip(*words): subprocess.run(["ip", *words], check=True)
near = tun("near"); ip("link", "set", "near", "up"); ip("route", "add", "${FAR}/32", "dev", "near")
ends, ready = [near], threading.Event()
def far():
    assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
    ends.append(tun("far"))
    ip("address", "add", "${FAR}/32", "dev", "far"); ip("link", "set", "far", "up"); ip("route", "add", "default", "dev", "far")
    listener = socket.create_server(("${FAR}", 7900)); ready.set()
    while True: answer(listener.accept()[0])
threading.Thread(target=far, daemon=True).start(); ready.wait()
print("begun", flush=True)
under_way, lost = deque(), False
while True:
    wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
    for fd in select.select(ends, [], [], wait)[0]:
        packet = os.read(fd, 65536)
        if b"lose!" in packet and not lost: lost = True; continue
        under_way.append((time.monotonic() + ${DELAY_MS / 1000}, ends[1 - ends.index(fd)], packet))
    while under_way and under_way[0][0] <= time.monotonic():
        _, fd, packet = under_way.popleft(); os.write(fd, packet)`;

/** Echoes a little over a connection, and closes it when it is asked to. */
const TALK = `import socket, sys
s = socket.create_connection((sys.argv[1], 7900))
for text in (b"hello", b"lose!", b"adieu"):
    s.sendall(text)
    while text: text = text[len(s.recv(100)):]
print("begun", flush=True); sys.stdin.readline(); s.close()`;

/** Requests in two pieces, with a pause between them that no answer's time has; prints the time until the answers, in ns. */
const ASK = `import socket, sys, time
s = socket.create_connection((sys.argv[1], 7900)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
waited = 0
for text in (b"hello", b"think", b"hello", b"think"):
    s.sendall(text[:2]); time.sleep(0.1)
    begun = time.monotonic_ns(); s.sendall(text[2:]); s.recv(5, socket.MSG_WAITALL); waited += time.monotonic_ns() - begun
s.close(); print(waited)`;

/** family host port ms: connects, waits for so long, and gives up. With one attempt alone where it waits for the error. */
const CONNECT = `import errno, select, socket, sys
family, host, port, ms = sys.argv[1:]
s = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET); s.setblocking(False)
if host == "192.0.2.3": s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
code = s.connect_ex((host, int(port)))
if code == errno.EINPROGRESS: code = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if select.select([], [s], [], int(ms) / 1000)[1] else errno.EINPROGRESS
print(errno.errorcode.get(code, code)); s.close()`;

/** Accepts, and resets what says so; gets reset by a peer that resets. */
const RESET = `import socket, struct, sys
def abort(s): s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
if sys.argv[1] == "serve":
    l = socket.create_server(("0.0.0.0", ${LISTENING})); print("begun", flush=True)
    while True:
        s = l.accept()[0]
        if s.recv(10) == b"you": abort(s)
        else:
            try: s.recv(10)
            except ConnectionResetError: pass
            s.close()
else:
    s = socket.create_connection((sys.argv[2], ${LISTENING})); s.sendall(sys.argv[1].encode())
    if sys.argv[1] == "you":
        try: s.recv(10)
        except ConnectionResetError: pass
        s.close()
    else: abort(s)`;

const fixture = await Fixture.start("figures", {
  apps: ["web"],
  agentArgs: ["--udp-idle", "3s"],
  profiles: (fixture) => [
    profile("web", [
      egress(fixture.program("client", "/usr/bin/python3"), ANYTHING),
      entry(fixture.program("server", "/usr/bin/python3"), {
        ingress: { cidr4: ["0.0.0.0/0"], l4: { protocols: ["tcp"] } },
      }),
    ]),
  ],
});
const web = fixture.workload("web");
const { node, outside } = fixture.topology;
const client = fixture.path("bin", "client");
const intruder = fixture.program("intruder", "/usr/bin/python3");

for (const route of [`${FAR}/32 via ${outside.ipv4}`, "unreachable 192.0.2.2/32", "blackhole 192.0.2.3/32"]) {
  execFileSync("ip", ["-n", node.name, "-batch", "-"], { input: `route add ${route}\n` });
}

const isFlow = (event: AgentEvent): event is FlowEvent => event.type === "flow";

async function flowTo(ip: string, from: number, port?: number): Promise<FlowEvent> {
  const wanted = (event: AgentEvent): event is FlowEvent =>
    isFlow(event) && event.state === "end" && event.dst.ip === ip && (port === undefined || event.dst.port === port);
  return await fixture.agent.events.waitFor(`the end of a flow to ${ip}`, wanted, { from, timeout: 30_000 });
}

async function observed(...args: string[]): Promise<FlowEvent[]> {
  const socket = join(fixture.agent.stateFolder, "observe.sock");
  const { stdout } = await fixture.agent.command(
    "observe",
    "--server",
    socket,
    "--type",
    "flow",
    "-o",
    "json",
    ...args,
  );
  return stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as FlowEvent]));
}

test("a slow link that loses a segment: handshake, round trips and retransmits are those of the socket", {
  skip: NO_TUNNELS,
}, async () => {
  const link = fixture.start(outside, "/usr/bin/python3", ["-c", SLOW_LINK]);
  await link.line("begun");
  const mark = fixture.agent.events.mark();
  const talking = fixture.start(web, client, ["-c", TALK, FAR]);
  await talking.line("begun", patiently(10_000));
  const text = execFileSync("ip", ["netns", "exec", web.name, "ss", "-tinH", "dst", FAR], { encoding: "utf8" });
  talking.tell();
  assert.equal((await talking.finish()).code, 0);
  const [, rtt] = / rtt:([\d.]+)\//.exec(text) ?? [];
  const [, least] = / minrtt:([\d.]+)/.exec(text) ?? [];
  const [, retransmits] = / retrans:\d+\/(\d+)/.exec(text) ?? [];
  const flow = await flowTo(FAR, mark);
  const { tcp } = flow;
  assert.ok(tcp?.rtt !== undefined && tcp.rtt.minNs !== undefined, JSON.stringify(flow));
  assert.equal(tcp.retransmits, Number(retransmits));
  assert.ok(tcp.retransmits > 0, text);
  const near = (one: number, other: number) => Math.abs(one - other) <= 0.25 * other;
  assert.ok(near(tcp.rtt.smoothedNs, Number(rtt) * NS_PER_MS), `${tcp.rtt.smoothedNs} ns: ${text}`);
  assert.ok(near(tcp.rtt.minNs, Number(least) * NS_PER_MS), `${tcp.rtt.minNs} ns: ${text}`);
  assert.ok(tcp.rtt.minNs >= 2 * DELAY_MS * NS_PER_MS);
  assert.ok((tcp.handshakeNs ?? 0) >= 2 * DELAY_MS * NS_PER_MS && (tcp.handshakeNs ?? 0) <= flow.durationNs);
  assert.deepEqual([tcp.failure, tcp.resetBy, flow.end], [undefined, undefined, "closed"]);
  const slow = await observed("--min-rtt", `${2 * DELAY_MS}ms`);
  assert.deepEqual(new Set(slow.map(({ id }) => id)), new Set([flow.id]));
  assert.deepEqual(await observed("--min-rtt", "10s"), []);
});

test("response times: from the last piece of the request to the answer, with the network's part at the client, without it at the server", {
  skip: NO_TUNNELS,
}, async () => {
  const serving = `${ANSWER}l = socket.create_server(("0.0.0.0", 7900)); print("begun", flush=True); answer(l.accept()[0])`;
  const server = fixture.start(web, fixture.path("bin", "server"), ["-c", serving]);
  await server.line("begun");
  const mark = fixture.agent.events.mark();
  const far = await fixture.run(web, client, ["-c", ASK, FAR]);
  const near = await fixture.run(outside, "/usr/bin/python3", ["-c", ASK, web.ipv4]);
  for (const [{ stdout, stderr }, ip, least] of [
    [far, FAR, 2 * THINKING_MS + 4 * 2 * DELAY_MS],
    [near, web.ipv4, 2 * THINKING_MS],
  ] as const) {
    const { response } = await flowTo(ip, mark, 7900);
    assert.ok(response !== undefined, stderr);
    const { count, firstByteNs, histogram } = response;
    assert.equal(count, 4);
    assert.ok(
      firstByteNs.sum >= least * NS_PER_MS && firstByteNs.sum <= Number(stdout),
      `${firstByteNs.sum}: ${stdout}`,
    );
    assert.ok(firstByteNs.max >= THINKING_MS * NS_PER_MS && firstByteNs.max < firstByteNs.sum);
    assert.equal(
      histogram.reduce((sum, answers) => sum + answers),
      count,
    );
    // 40 ms and more are beyond 2^15 us, the 9th bucket's end.
    assert.ok(histogram.slice(9).reduce((sum, answers) => sum + answers, 0) >= 2, `${histogram}`);
  }
});

interface Failure {
  family?: string;
  to: string;
  port?: number;
  program?: string;
  /** What the process gets. */
  code: string;
  failure: string;
  /** Whether any packet has left. */
  packets: boolean;
  reason?: string;
}

const FAILURES: Record<string, Failure> = {
  "a closed port": { to: SERVER, code: "ECONNREFUSED", failure: "refused", packets: true },
  "a closed port, over IPv6": { family: "6", to: SERVER6, code: "ECONNREFUSED", failure: "refused", packets: true },
  "a closed port, from a socket of IPv6 that talks IPv4": {
    ...{ family: "6", to: `::ffff:${SERVER}`, port: 7998, code: "ECONNREFUSED", failure: "refused", packets: true },
  },
  "an address that the node has no way to": {
    ...{ to: "192.0.2.2", code: "EHOSTUNREACH", failure: "unreachable", packets: true },
  },
  "a neighbour that is not there: no packet of TCP leaves": {
    ...{ to: "10.88.0.99", code: "EHOSTUNREACH", failure: "unreachable", packets: false },
  },
  "nobody answers": { to: "192.0.2.3", code: "ETIMEDOUT", failure: "timeout", packets: true },
  "nobody answers, over a patience of half a second": {
    ...{ to: "192.0.2.3", port: 7997, code: "EINPROGRESS", failure: "abandoned", packets: true },
  },
  "a process that may not": {
    ...{ program: intruder, to: SERVER, port: 7996, code: "EINPROGRESS", failure: "denied", packets: false },
    reason: "BinaryUnknown",
  },
  "a process that may not, over IPv6": {
    ...{ program: intruder, family: "6", to: SERVER6, port: 7996, code: "EINPROGRESS", failure: "denied" },
    ...{ packets: false, reason: "BinaryUnknown" },
  },
};

test("connects that fail, each in its way: what the process got, what the record says, and whether a packet has left", async () => {
  const mark = fixture.agent.events.mark();
  const results = Object.entries(FAILURES).map(async ([title, wanted]) => {
    const { family = "4", to, port = CLOSED, program = client } = wanted;
    const patience = wanted.code === "EINPROGRESS" ? 500 : patiently(15_000);
    const running = fixture.start(web, program, ["-c", CONNECT, family, to, `${port}`, `${patience}`]);
    const { stdout, stderr } = await running.finish(20_000);
    const { end, tcp, process, packets, reason } = await flowTo(to.replace("::ffff:", ""), mark, port);
    const isOfIt = process?.path === program && process.pid === running.pid && tcp?.state === "syn-sent";
    const found = await observed("--failure", wanted.failure, "--port", `${port}`);
    return {
      ...{
        title,
        code: stdout.trim() || stderr,
        end,
        failure: tcp?.failure,
        packets: packets.sent > 0,
        reason,
        isOfIt,
      },
      isFound: found.some(({ dst }) => dst.port === port),
    };
  });
  const expected = Object.entries(FAILURES).map(([title, { code, failure, packets, reason = "Allowed" }]) => ({
    ...{ title, code, end: "failed", failure, packets, reason, isOfIt: true, isFound: true },
  }));
  assert.deepEqual(await Promise.all(results), expected);
});

test("connections that are reset, by either side, as the client and as the server", async () => {
  const server = fixture.start(web, fixture.path("bin", "server"), ["-c", RESET, "serve"]);
  const outsideServer = fixture.start(outside, "/usr/bin/python3", ["-c", RESET, "serve"]);
  await Promise.all([server.line("begun"), outsideServer.line("begun")]);
  const seen: string[] = [];
  for (const who of ["you", "me"]) {
    const mark = fixture.agent.events.mark();
    assert.equal((await fixture.run(web, client, ["-c", RESET, who, SERVER])).code, 0);
    assert.equal((await fixture.run(outside, "/usr/bin/python3", ["-c", RESET, who, web.ipv4])).code, 0);
    for (const ip of [SERVER, web.ipv4]) {
      const { end, tcp, direction } = await flowTo(ip, mark, LISTENING);
      seen.push(`${direction} ${who}: ${end} by ${tcp?.resetBy}, ${tcp?.failure}`);
      assert.ok((tcp?.handshakeNs ?? 0) > 0 && (tcp?.rtt?.smoothedNs ?? 0) > 0);
    }
  }
  assert.deepEqual(seen, [
    "egress you: reset by remote, reset",
    "ingress you: reset by local, undefined",
    "egress me: reset by local, undefined",
    "ingress me: reset by remote, reset",
  ]);
});

test("with --no-tcp-figures the flow is counted, and nothing more is known of it", async () => {
  const connect = ["-c", CONNECT, "4", SERVER, "7995", `${patiently(5000)}`];
  await fixture.agent.stop();
  await fixture.agent.start({ args: ["--no-tcp-figures"] });
  assert.equal((await fixture.run(web, client, connect)).stdout.trim(), "ECONNREFUSED");
  const { end, tcp, packets } = await flowTo(SERVER, 0, 7995);
  assert.deepEqual([end, tcp, packets], ["reset", undefined, { sent: 1, received: 1 }]);
});
