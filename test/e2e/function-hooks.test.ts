/**
 * Programs on the kernel's functions beside those that every kernel has: by fentry, by kprobes, and without. Whichever
 * it is, who a packet belongs to stays the same, and the two sources of owners, and of veth pairs, agree.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { NodeStatus } from "../../src/node-agent/enforce/inspect.ts";
import { openProcess, takeDescriptor } from "../../src/node-agent/ffi/foreign-sockets.ts";
import { closeFd } from "../../src/node-agent/ffi/libc.ts";
import { probeFunctionTracing, probeKprobes } from "../../src/node-agent/kernel/features/programs.ts";
import { openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { Fixture } from "./harness/fixture.ts";
import type { RunningProcess } from "./harness/processes.ts";
import { entry, profile } from "./harness/profiles.ts";
import { connectWorkload } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const PAIRS_MS = 120_000;

const WAYS = ["fentry", "kprobes", "none"] as const;
type Way = (typeof WAYS)[number];
const PROBES = { fentry: probeFunctionTracing, kprobes: probeKprobes } as const;

/** Veth pairs that a pod makes in a network namespace of its own; more ends than the node has room for. */
const PAIRS = Number(process.env.VETH_PAIRS ?? 10_000);

/** Makes them, by the rights of a user namespace of its own, and keeps them until it is ended. */
async function makePairs(count: number): Promise<RunningProcess> {
  const batch = fixture.path("pairs");
  const lines = Array.from({ length: count }, (_, n) => `link add a${n} type veth peer name b${n}\n`);
  writeFileSync(batch, lines.join(""));
  const made = `ip -batch ${batch} && echo made && read -r _`;
  const running = fixture.start(loud, "unshare", ["--user", "--map-root-user", "--net", "sh", "-c", made]);
  await running.line("made", PAIRS_MS);
  return running;
}

/** Without, fentry takes no functions of modules. */
function hasModuleTypes(): boolean {
  return existsSync("/sys/kernel/btf/veth") || !existsSync("/sys/module/veth");
}

function lacks(way: Way): string | false {
  return way === "none" || PROBES[way]().state === "supported" ? false : `no ${way} on this kernel`;
}

const fixture = await Fixture.start("hooks", { apps: ["shop", "loud"], startAgent: false });
const shop = fixture.workload("shop");
const loud = fixture.workload("loud");
const asker = fixture.program("asker");
const stranger = fixture.program("stranger");
fixture.agent.write(
  profile("shop", [
    entry(asker, {
      egress: {
        cidr4: [`${SERVER}/32`],
        cidr6: [`${SERVER6}/128`],
        l4: { protocols: ["tcp", "udp", "icmp", "icmpv6"] },
      },
    }),
  ]),
);

const PACKETS: Record<string, string> = {
  TCP: `tcp4 connect ${SERVER} 7000 send TAG recv`,
  "TCP over IPv6": `tcp6 connect ${SERVER6} 7000 send TAG recv`,
  "UDP, not connected": `udp4 sendto ${SERVER} 7000 TAG recv`,
  "UDP, connected": `udp4 connect ${SERVER} 7000 send TAG recv`,
  "UDP over IPv6": `udp6 sendto ${SERVER6} 7000 TAG recv`,
  "ICMP by a ping socket": `icmp4 ping ${SERVER}`,
  "ICMP by a raw socket": `raw4 1 ping ${SERVER}`,
  "a connected socket used after fork": `tcp4 connect ${SERVER} 7000 fork send TAG recv`,
};

async function status(): Promise<NodeStatus> {
  const { stdout, stderr, code } = await fixture.agent.command(
    "status",
    "--output",
    "json",
    ...fixture.agent.pinOptions,
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as NodeStatus;
}

function disagreements({ errors }: NodeStatus): number {
  return errors.find(({ name }) => name === "owner_disagreement")?.count ?? 0;
}

/** Makes the kernel forget who owns the socket that is open as `fd` in a process. */
function forgetOwner(running: RunningProcess, fd: number): void {
  const pid = openProcess(clientPid(running));
  assert.ok(pid !== null);
  const own = takeDescriptor(pid, fd);
  assert.ok(own !== null);
  using owners = openMap(fixture.agent.pinRoot, "socketOwners");
  assert.equal(owners.delete(own), true);
  closeFd(own);
  closeFd(pid);
}

function clientPid(running: RunningProcess): number {
  return Number(running.stdout.split("\n").find((line) => /^\d+$/.test(line)));
}

/** Sends from a connected UDP socket whose storage has gone since. */
async function sendWithoutStorage(program: string): Promise<{ code: number | null; tag: string; mark: number }> {
  const [tag, mark] = [fixture.tag(), fixture.agent.events.mark()];
  const running = fixture.start(shop, program, `udp4 connect ${SERVER} 7000 pid wait timeout 250 send ${tag} recv`);
  await running.line("waiting");
  forgetOwner(running, 3);
  running.tell();
  return { code: (await running.finish()).code, tag, mark };
}

for (const way of WAYS) {
  test(`hooks by ${way}`, { skip: lacks(way) }, async (context) => {
    const before = disagreements(await status());
    await fixture.agent.start({ args: ["--hooks", way] });
    const { hookSets } = await status();

    const lasting = !/lasting kprobes/.test(fixture.agent.diagnostics);

    await context.test("are shown", { skip: lasting ? false : "kprobes cannot be pinned on this kernel" }, () => {
      const wanted = way === "none" ? null : way;
      assert.equal(hookSets.flows, wanted);
      assert.equal(hookSets.devices, way === "fentry" && !hasModuleTypes() ? null : wanted);
    });

    for (const [what, verbs] of Object.entries(PACKETS)) {
      await context.test(`§3 ${what}: the listed process's packet passes, another's is stopped`, async () => {
        await fixture.passes(shop, asker, verbs);
        const event = await fixture.stops(shop, stranger, verbs, { reason: "BinaryUnknown", direction: "egress" });
        assert.equal(event.process?.path, stranger);
      });
    }

    await context.test(
      "§3 a connected socket handed over by SCM_RIGHTS: its new user is judged from the first packet on",
      {
        skip: hookSets.senders === "lsm" || hookSets.senders === "fentry" ? false : "senders are seen after the packet",
      },
      async () => {
        const [mark, tag] = [fixture.agent.events.mark(), fixture.tag()];
        const path = fixture.path(`${tag}socket`);
        const giver = fixture.start(shop, asker, `tcp4 connect ${SERVER} 7000 pass ${path}`);
        await giver.line("offering");
        await fixture.run(shop, stranger, `timeout 250 take ${path} send ${tag} recv`);
        await giver.finish();
        await fixture.violation({ reason: "BinaryUnknown", path: stranger, proto: "tcp" }, mark);
        assert.deepEqual(await fixture.servers.received(tag), []);
      },
    );

    await context.test(
      "§3 a socket without storage: the second source says whose its packet is",
      { skip: way === "none" ? "there is no second source" : false },
      async () => {
        const listed = await sendWithoutStorage(asker);
        assert.equal(listed.code, 0);
        assert.equal((await fixture.servers.received(listed.tag)).length, 1);
        const other = await sendWithoutStorage(stranger);
        await fixture.violation({ reason: "BinaryUnknown", path: stranger }, other.mark);
        assert.deepEqual(await fixture.servers.received(other.tag), []);
      },
    );

    await context.test(
      "§9 beside a pod that makes veth pairs without number, one that is replaced is guarded, and both sources have seen it",
      async () => {
        const pairs = await makePairs(way === "none" ? PAIRS / 10 : PAIRS);
        execFileSync("ip", ["-n", fixture.topology.node.name, "link", "delete", shop.hostInterface]);
        const mark = fixture.agent.events.mark();
        connectWorkload(fixture.topology, shop);
        await fixture.agent.events.waitFor(
          "the workload in force again",
          (event) => event.type === "workload" && event.state === "enforced",
          { from: mark },
        );
        // Its address is learned of a moment later than the veth; neighbour requests before that are not repeated for a second.
        await fixture.passes(shop, asker, `timeout 5000 udp4 sendto ${SERVER} 7000 TAG recv`);
        await new Promise((settle) => setTimeout(settle, 2500)); // As long as sources may take to agree.
        assert.doesNotMatch(fixture.agent.diagnostics, /is known from|leads to/);
        await fixture.stops(shop, stranger, "udp4 sendto 198.51.100.1 7000 TAG recv", { reason: "BinaryUnknown" });
        await pairs.kill();
      },
    );

    await context.test("the two sources of owners have never disagreed", async () => {
      assert.equal(disagreements(await status()), before);
    });

    await fixture.agent.stop();
  });
}
