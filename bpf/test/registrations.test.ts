/** bpf/flows.bpf.c: who uses which address, by what the network stack shows. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import ipaddr from "ipaddr.js";
import {
  REGISTRATIONS_CLAIM,
  type Registration,
  RegistrationFlag,
  type RegistrationKey,
} from "../../src/gen/abi.gen.ts";
import { HOOK_SETS } from "../../src/node-agent/enforce/attach/function-hooks.ts";
import { exhaustedClaims } from "../../src/node-agent/enforce/tables/claims.ts";
import { inNewNamespace, run } from "../../src/node-agent/kernel/testing/program-fixture.ts";
import { FunctionHooksHarness, lacks } from "./function-hooks-harness.ts";

const ICMP = 1;
const TCP = 6;
const UDP = 17;

/** What each script begins with. Lines of input let it go on; it ends at the end of the input. */
const PRELUDE = `
import os, socket, struct, sys, time
def said(*words): print(*words, flush=True); sys.stdin.readline()
def bound(family, kind, address, port, *options):
    s = socket.socket(family, kind)
    for option in options: s.setsockopt(socket.SOL_SOCKET, option, 1)
    s.bind((address, port))
    return s
INET, INET6, UDP, TCP, RAW = socket.AF_INET, socket.AF_INET6, socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_RAW
`;

/** A process with sockets, in a network namespace of its own. */
class Script implements AsyncDisposable {
  readonly netnsInum: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  #output = "";
  #errors = "";

  constructor(text: string) {
    this.#child = inNewNamespace(() => {
      run("ip link set lo up");
      writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
      return spawn("/usr/bin/python3", ["-c", PRELUDE + text], { stdio: ["pipe", "pipe", "pipe"] });
    });
    assert.ok(this.#child.pid !== undefined);
    this.pid = this.#child.pid;
    this.netnsInum = statSync(`/proc/${this.pid}/ns/net`).ino;
    this.#child.stdout?.on("data", (data) => (this.#output += String(data)));
    this.#child.stderr?.on("data", (data) => (this.#errors += String(data)));
  }

  /** The next line of output. */
  async line(): Promise<string> {
    const deadline = performance.now() + 20_000;
    while (!this.#output.includes("\n")) {
      if (this.#child.exitCode !== null || performance.now() > deadline) throw new Error(`no line: ${this.#errors}`);
      await new Promise((settle) => setTimeout(settle, 5));
    }
    const end = this.#output.indexOf("\n");
    const line = this.#output.slice(0, end);
    this.#output = this.#output.slice(end + 1);
    return line;
  }

  goOn(): void {
    this.#child.stdin?.write("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }
}

function bytesOf(address: string): Buffer {
  const parsed = ipaddr.parse(address);
  const mapped = parsed.kind() === "ipv4" ? (parsed as ipaddr.IPv4).toIPv4MappedAddress() : parsed;
  return Buffer.from(mapped.toByteArray());
}

interface Wanted {
  protocol: number;
  raw?: number;
  local?: string;
  localPort?: number;
  remote?: string;
  remotePort?: number;
}

const ANY = Buffer.alloc(16);
/** Sockets of one workload. */
const FLOOD = 2 * REGISTRATIONS_CLAIM;

/** As in the packet: network byte order. */
function port(number: number): number {
  return ((number & 0xff) << 8) | (number >> 8);
}

for (const set of HOOK_SETS) {
  test(`registrations by ${set}`, { skip: lacks(set) }, async (context) => {
    using harness = new FunctionHooksHarness(set);
    assert.equal(harness.sets.flows, set, harness.missing);
    const { registrations, registered } = harness.maps;

    const keyOf = (script: Script, wanted: Wanted): RegistrationKey => ({
      netnsInum: script.netnsInum,
      protocol: wanted.protocol,
      raw: wanted.raw ?? 0,
      local: wanted.local === undefined ? ANY : bytesOf(wanted.local),
      remote: wanted.remote === undefined ? ANY : bytesOf(wanted.remote),
      localPort: port(wanted.localPort ?? 0),
      remotePort: port(wanted.remotePort ?? 0),
    });
    const find = (script: Script, wanted: Wanted): Registration | undefined => {
      const registration = registrations.get(keyOf(script, wanted));
      if (registration === undefined) return undefined;
      return registered.get(registration.socket) === undefined ? undefined : registration;
    };
    const all = (script: Script): RegistrationKey[] =>
      [...registrations.keys()].filter(({ netnsInum }) => netnsInum === script.netnsInum);
    const owned = (script: Script, wanted: Wanted): void => {
      const found = find(script, wanted);
      assert.ok(found !== undefined, `${JSON.stringify(wanted)} is not among ${JSON.stringify(all(script))}`);
      assert.equal(found.actor.tgid, script.pid);
      assert.equal(found.flags, 0);
      assert.ok(found.actor.pathId > 0);
      assert.ok(found.actor.startTime > 0n);
      assert.ok(found.time > 0n);
    };

    await context.test("UDP, neither bound nor connected: at the first datagram; gone when it is closed", async () => {
      await using script = new Script(`
s = socket.socket(INET, UDP)
said(0)
s.sendto(b"x", ("127.0.0.1", 9))
said(s.getsockname()[1])
s.close()
said("closed")
`);
      await script.line();
      assert.deepEqual(all(script), []);
      script.goOn();
      const localPort = Number(await script.line());
      owned(script, { protocol: UDP, localPort });
      script.goOn();
      await script.line();
      assert.deepEqual(all(script), []);
    });

    await context.test("UDP, connected: one registration, whatever it does", async () => {
      await using script = new Script(`
s = socket.socket(INET, UDP)
s.connect(("127.0.0.1", 9))
s.send(b"x")
said(s.getsockname()[1])
`);
      const localPort = Number(await script.line());
      assert.equal(all(script).length, 1);
      const [key] = all(script);
      assert.equal(key?.localPort, port(localPort));
      assert.equal(key?.protocol, UDP);
    });

    await context.test("IPv4 on an AF_INET6 socket, unconnected and connected", async () => {
      await using script = new Script(`
s = socket.socket(INET6, UDP)
s.sendto(b"x", ("::ffff:127.0.0.1", 9))
c = socket.socket(INET6, UDP)
c.bind(("::ffff:127.0.0.1", 0))
c.connect(("::ffff:127.0.0.1", 9))
c.send(b"x")
said(s.getsockname()[1], c.getsockname()[1])
`);
      const [any, bound] = (await script.line()).split(" ").map(Number);
      owned(script, { protocol: UDP, localPort: any ?? 0 });
      owned(script, { protocol: UDP, local: "127.0.0.1", localPort: bound ?? 0 });
      assert.equal(all(script).length, 2);
    });

    await context.test("bind registers when it succeeds, and not when it fails", async () => {
      await using script = new Script(`
a = bound(INET, UDP, "127.0.0.1", 7001)
b = bound(INET6, UDP, "::1", 7002)
t = bound(INET, TCP, "127.0.0.1", 7001)
def refused(family, kind, address, port):
    try: bound(family, kind, address, port)
    except OSError: return
    said("not refused")
refused(INET, UDP, "127.0.0.1", 7001)
refused(INET, UDP, "203.0.113.77", 7003)
refused(INET6, TCP, "2001:db8::77", 7004)
said("bound")
`);
      assert.equal(await script.line(), "bound");
      owned(script, { protocol: UDP, local: "127.0.0.1", localPort: 7001 });
      owned(script, { protocol: UDP, local: "::1", localPort: 7002 });
      owned(script, { protocol: TCP, local: "127.0.0.1", localPort: 7001 });
      assert.equal(all(script).length, 3);
      assert.equal(harness.callsUnderWay(), 0);
    });

    await context.test("TCP: both sides, for IPv4, IPv6 and IPv4 on an IPv6 socket", async () => {
      await using script = new Script(`
l = bound(INET6, TCP, "::", 7010); l.listen()
clients = [socket.create_connection(("127.0.0.1", 7010)), socket.create_connection(("::1", 7010)), socket.socket(INET6, TCP)]
clients[2].connect(("::ffff:127.0.0.1", 7010))
said(*[c.getsockname()[1] for c in clients])
for c in clients: c.close()
said("closed")
`);
      const [four, six, mapped] = (await script.line()).split(" ").map(Number);
      const remotePort = 7010;
      owned(script, { protocol: TCP, local: "127.0.0.1", localPort: four ?? 0, remote: "127.0.0.1", remotePort });
      owned(script, { protocol: TCP, local: "::1", localPort: six ?? 0, remote: "::1", remotePort });
      owned(script, { protocol: TCP, local: "127.0.0.1", localPort: mapped ?? 0, remote: "127.0.0.1", remotePort });
      owned(script, { protocol: TCP, localPort: 7010 });
      script.goOn();
      await script.line();
      assert.equal(all(script).length, 1, "the listener's is left");
    });

    await context.test("a refused connection leaves nothing once its socket is closed", async () => {
      await using script = new Script(`
s = socket.socket(INET, TCP)
try: s.connect(("127.0.0.1", 7011))
except ConnectionRefusedError: pass
s.close()
said("closed")
`);
      await script.line();
      assert.deepEqual(all(script), []);
    });

    await context.test("ping sockets by their identifier, raw ones by whom they talk to", async () => {
      await using script = new Script(`
echo = struct.pack("!BBHHH", 8, 0, 0, 0, 1)
p = socket.socket(INET, UDP, socket.IPPROTO_ICMP)
p.sendto(echo, ("127.0.0.1", 0))
r = socket.socket(INET, RAW, socket.IPPROTO_ICMP)
r.sendto(struct.pack("!BBHHH", 8, 0, 0xf7ff - 7, 7, 0), ("127.0.0.2", 0))
r6 = socket.socket(INET6, RAW, socket.IPPROTO_ICMPV6)
r6.sendto(struct.pack("!BBHHH", 128, 0, 0, 7, 1), ("::1", 0))
said(p.getsockname()[1])
p.close(); r.close(); r6.close()
said("closed")
`);
      const identifier = Number(await script.line());
      owned(script, { protocol: ICMP, localPort: identifier });
      owned(script, { protocol: ICMP, raw: 1, remote: "127.0.0.2" });
      owned(script, { protocol: 58, raw: 1, remote: "::1" });
      script.goOn();
      await script.line();
      assert.deepEqual(all(script), []);
    });

    await context.test("a forked child that sends takes the registration over", async () => {
      await using script = new Script(`
s = bound(INET, UDP, "127.0.0.1", 7020)
said("parent")
child = os.fork()
if not child:
    s.sendto(b"x", ("127.0.0.1", 9))
    os._exit(0)
os.waitpid(child, 0)
said(child)
`);
      await script.line();
      owned(script, { protocol: UDP, local: "127.0.0.1", localPort: 7020 });
      script.goOn();
      const child = Number(await script.line());
      assert.equal(find(script, { protocol: UDP, local: "127.0.0.1", localPort: 7020 })?.actor.tgid, child);
    });

    await context.test("SO_REUSEPORT among processes of one identity is no conflict", async () => {
      await using script = new Script(`
a = bound(INET, UDP, "127.0.0.1", 7030, socket.SO_REUSEPORT)
child = os.fork()
if not child:
    b = bound(INET, UDP, "127.0.0.1", 7030, socket.SO_REUSEPORT)
    os._exit(0)
os.waitpid(child, 0)
a.sendto(b"x", ("127.0.0.1", 9))
said("shared")
`);
      await script.line();
      owned(script, { protocol: UDP, local: "127.0.0.1", localPort: 7030 });
    });

    await context.test("SO_REUSEPORT among different executables: the address says nothing", async () => {
      await using script = new Script(`
import shutil, subprocess, tempfile
a = bound(INET, UDP, "127.0.0.1", 7040, socket.SO_REUSEPORT)
folder = tempfile.mkdtemp()
other = shutil.copy(sys.executable, folder + "/other")
code = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 15, 1); s.bind(('127.0.0.1', 7040)); print('bound', flush=True); input()"
process = subprocess.Popen([other, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
process.stdout.readline()
said("shared")
process.communicate(b"\\n")
shutil.rmtree(folder)
a.sendto(b"x", ("127.0.0.1", 9))
said("alone")
`);
      await script.line();
      const shared = find(script, { protocol: UDP, local: "127.0.0.1", localPort: 7040 });
      assert.equal(shared?.flags, RegistrationFlag.SHARED);
      script.goOn();
      assert.equal(await script.line(), "alone");
      owned(script, { protocol: UDP, local: "127.0.0.1", localPort: 7040 });
    });

    await context.test("one workload's flood of sockets takes no registration from another's", async () => {
      await using quiet = new Script(`
a = bound(INET, UDP, "127.0.0.1", 7050)
said("bound")
`);
      await using loud = new Script(`
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (${FLOOD} + 100,) * 2)
def flood(count): return [bound(INET, UDP, "127.%d.0.1" % (1 + n // 30000), 20000 + n % 30000) for n in range(count)]
sys.stdin.readline()
sockets = flood(${FLOOD})
said("flooded")
for s in sockets: s.close()
again = bound(INET, UDP, "127.0.0.1", 7051)
said("closed")
`);
      await quiet.line();
      const { claims, namespaces } = harness.maps;
      for (const { netnsInum } of [quiet, loud]) namespaces.set(netnsInum, 1);
      loud.goOn();
      assert.equal(await loud.line(), "flooded");
      owned(quiet, { protocol: UDP, local: "127.0.0.1", localPort: 7050 });
      assert.equal(all(loud).length, REGISTRATIONS_CLAIM);
      const [exhausted] = exhaustedClaims(claims);
      assert.equal(exhausted?.netnsInum, loud.netnsInum);
      assert.equal(exhausted.lost, FLOOD - REGISTRATIONS_CLAIM);
      loud.goOn();
      assert.equal(await loud.line(), "closed");
      owned(loud, { protocol: UDP, local: "127.0.0.1", localPort: 7051 });
      assert.equal(all(loud).length, 1, "what it gave back, it may have again");
    });

    await context.test("who has no claim left still spoils what an address says", async () => {
      await using script = new Script(`
import resource, shutil, subprocess, tempfile
a = bound(INET, UDP, "127.0.0.1", 7060, socket.SO_REUSEPORT)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
folder = tempfile.mkdtemp()
other = shutil.copy(sys.executable, folder + "/other")
sys.stdin.readline()
filling = [bound(INET, UDP, "127.0.0.1", 20000 + n) for n in range(${REGISTRATIONS_CLAIM})]
code = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 15, 1); s.bind(('127.0.0.1', 7060)); print('bound', flush=True); input()"
process = subprocess.Popen([other, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
process.stdout.readline()
said("shared")
process.communicate(b"\\n")
shutil.rmtree(folder)
`);
      harness.maps.namespaces.set(script.netnsInum, 1);
      script.goOn();
      await script.line();
      const shared = find(script, { protocol: UDP, local: "127.0.0.1", localPort: 7060 });
      assert.equal(shared?.flags, RegistrationFlag.SHARED);
    });

    await context.test("what has ended has left nothing", () => {
      assert.equal(registrations.count(), registered.count());
      assert.equal(harness.callsUnderWay(), 0);
    });
  });
}
