/** Real containers (containerd, runc, CNI's bridge): pods are found by their cgroups, and each container has its own rules. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Reason } from "../../src/api/reasons.ts";
import type { ProcessRules } from "../../src/api/types.ts";
import type { AgentEvent, VerdictEvent, WorkloadEvent } from "../../src/flow/record.ts";
import { eventually } from "../cluster/harness/place.ts";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { patiently } from "../e2e/harness/patience.ts";
import type { Finished } from "../e2e/harness/processes.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";
import { ContainerFixture, NEWER_IMAGE } from "./harness/container-fixture.ts";
import { missingForContainers } from "./harness/containerd.ts";
import type { TestPod } from "./harness/pods.ts";

const SERVER = "198.51.100.1";
const MODIFIED = "cp /bin/other /tmp/new && mv /tmp/new /bin/other && exec /bin/other";

const missing = missingForContainers();
if (missing.length > 0) throw new Error(`tests with containers need ${missing.join(", ")}: make test-containers`);

function udpTo(path: string, port: number, container?: string): ProcessRules {
  const rules = { cidr4: [`${SERVER}/32`], l4: { protocolPorts: [{ protocol: "udp" as const, port }] } };
  return entry(path, { egress: rules }, container === undefined ? {} : { container });
}

const fixture = await ContainerFixture.start("containers");
fixture.write(
  profile("shop", [
    udpTo("/bin/app", 7000, "web"),
    udpTo("/bin/app", 7001, "sidecar"),
    udpTo("/bin/other", 7000),
    udpTo("/bin/linked", 7000),
    { ...udpTo("/volume/any", 7000), binary: "Any" },
  ]),
  profile("strict", [udpTo("/bin/app", 7000), udpTo("/bin/other", 7001, "known")], { ephemeralContainers: "Exclude" }),
  profile("led", [
    { ...udpTo("/bin/app", 7000), notAncestors: ["/bin/sh"] },
    { ...udpTo("/bin/other", 7000), ancestors: ["/bin/sh"], users: [0] },
  ]),
);
await fixture.startAgent();
const shop = fixture.addPod("shop");
await stateOf(shop, "enforced");

/** The agent's word on a pod. */
async function stateOf(pod: TestPod, state: WorkloadEvent["state"]): Promise<AgentEvent> {
  const wanted = (event: AgentEvent) =>
    event.type === "workload" && event.workload.name === pod.name && event.state === state;
  try {
    return await fixture.events.waitFor(`${pod.name} ${state}`, wanted);
  } catch (cause) {
    throw new Error(fixture.diagnostics, { cause });
  }
}

/** The test client's words for a message and its answer, which is waited for so long (ms). */
function sending(port: number, tag: string, wait = 500): string[] {
  return ["timeout", String(wait), "udp4", "sendto", SERVER, String(port), tag, "recv"];
}

function send(pod: TestPod, container: string, port: number, ...program: string[]): Promise<Finished> {
  return pod.exec(container, ...program, ...sending(port, fixture.fixture.tag(), patiently(500))).finish();
}

/** A container that has just started has the rights of none, until the agent knows which one it is. */
async function known(pod: TestPod, container: string, port: number, program: string): Promise<void> {
  const passed = async () => (await send(pod, container, port, program)).code === 0;
  await eventually(`${program} in ${container} has its container's rights`, passed);
}

/** What is sent arrives and is answered. */
async function passes(pod: TestPod, container: string, port: number, ...program: string[]): Promise<void> {
  const { code, stderr } = await send(pod, container, port, ...program);
  assert.equal(code, 0, `${program} should reach port ${port}: ${stderr}\n${recent()}${fixture.diagnostics}`);
}

/** Nothing of it arrives, and an event says why. */
async function stops(
  pod: TestPod,
  container: string,
  port: number,
  program: readonly string[],
  expected: { reason: Reason; path: string },
): Promise<void> {
  const [mark, tag] = [fixture.events.mark(), fixture.fixture.tag()];
  await pod.exec(container, ...program.map((word) => word.replace("TAG", tag)), ...sending(port, tag)).finish();
  await violation(pod, expected, mark);
  assert.deepEqual(await fixture.fixture.servers.received(tag), []);
}

async function violation(pod: TestPod, expected: { reason: Reason; path: string }, mark: number): Promise<void> {
  const wanted = (event: AgentEvent): event is VerdictEvent =>
    isVerdict(event) &&
    event.workload.name === pod.name &&
    event.verdict === "dropped" &&
    event.reason === expected.reason &&
    event.process?.path === expected.path;
  await fixture.events.waitFor(JSON.stringify(expected), wanted, { from: mark });
}

function recent(): string {
  return fixture.events.events
    .slice(-6)
    .map((event) => `${JSON.stringify(event)}\n`)
    .join("");
}

test("each container has its own rules for one path", async () => {
  shop.start("web");
  shop.start("sidecar");
  await known(shop, "web", 7000, "/bin/app");
  await known(shop, "sidecar", 7001, "/bin/app");
  await passes(shop, "web", 7000, "/bin/app");
  await passes(shop, "sidecar", 7001, "/bin/app");
  await stops(shop, "web", 7001, ["/bin/app"], { reason: "Port", path: "/bin/app" });
  await stops(shop, "sidecar", 7000, ["/bin/app"], { reason: "Port", path: "/bin/app" });
});

test("what is listed for no container holds in each", async () => {
  for (const container of ["web", "sidecar"]) await passes(shop, container, 7000, "/bin/other");
});

test("a listed link stands for the file that it leads to in the container's image", async () => {
  await passes(shop, "web", 7000, "/bin/linked");
});

test("a container that is restarted in place with another image: the listed link is followed anew", async () => {
  const other = fixture.addPod("restarted", { app: "shop" });
  await stateOf(other, "enforced");
  other.start("web");
  await known(other, "web", 7000, "/bin/linked");
  await stops(other, "web", 7000, ["/bin/linked-2.0"], { reason: "BinaryUnknown", path: "/bin/linked-2.0" });
  other.restart("web", NEWER_IMAGE);
  await known(other, "web", 7000, "/bin/linked");
  await stops(other, "web", 7000, ["/bin/linked-1.0"], { reason: "BinaryUnknown", path: "/bin/linked-1.0" });
  fixture.removePod(other);
});

test("a shell in a container has no rights, and no more of them by what it starts", async () => {
  const script = `echo TAG | busybox nc -w 1 ${SERVER} 7000`;
  await stops(shop, "web", 7000, ["/bin/sh", "-c", script], { reason: "BinaryUnknown", path: "/bin/busybox" });
  await passes(shop, "web", 7000, "/bin/sh", "-c", 'exec /bin/app "$@"', "sh");
});

test("what led to a process begins with the container's command: its runtime does not count, and its shell by the file behind its link", async () => {
  const led = fixture.addPod("led");
  await stateOf(led, "enforced");
  led.start("web");
  const shell = (program: string) => ["/bin/sh", "-c", `exec ${program} "$@"`, "sh"];
  await known(led, "web", 7000, "/bin/app");
  await stops(led, "web", 7000, shell("/bin/app"), { reason: "Ancestry", path: "/bin/app" });
  await passes(led, "web", 7000, ...shell("/bin/other"));
  await stops(led, "web", 7000, ["/bin/other"], { reason: "Ancestry", path: "/bin/other" });
  fixture.removePod(led);
});

test("a binary that was changed in the container is not the image's", async () => {
  const changed = ["/bin/sh", "-c", `${MODIFIED} "$@"`, "sh"];
  await stops(shop, "web", 7000, changed, { reason: "BinaryModified", path: "/bin/other" });
  await passes(shop, "sidecar", 7000, "/bin/other");
});

/** Ways to lead a listed path to another file where the root is no overlay; times are set back as far as one may. */
const CHANGES: Readonly<Record<string, string>> = {
  "written over": "cat /bin/app > /bin/other && touch -d @0 /bin/other",
  renamed: "cp /bin/app /tmp/new && touch -d @0 /tmp/new && mv /tmp/new /bin/other",
  linked: "ln -f /bin/linked-1.0 /bin/other",
};

test("attack: without an overlay, a file that is changed after the container's start is not the image's", async () => {
  const copied = fixture.addPod("copied", { app: "shop" });
  copied.startCopied("web");
  await stateOf(copied, "enforced");
  await known(copied, "web", 7000, "/bin/other");
  for (const change of Object.values(CHANGES)) {
    const changed = ["/bin/sh", "-c", `${change} && exec /bin/other "$@"`, "sh"];
    await stops(copied, "web", 7000, changed, { reason: "BinaryModified", path: "/bin/other" });
  }
  await passes(copied, "web", 7000, "/bin/app");
  fixture.removePod(copied);
});

test("a file that is mounted on a listed path is not the image's, whatever it is", async () => {
  const mounted = fixture.addPod("mounted", { app: "shop" });
  const program = fixture.fixture.program("volume");
  mounted.startMounted("web", { [program]: "/bin/other", [fixture.fixture.path("bin")]: "/volume" });
  fixture.fixture.program("any");
  await stateOf(mounted, "enforced");
  await known(mounted, "web", 7000, "/volume/any");
  await stops(mounted, "web", 7000, ["/bin/other"], { reason: "BinaryModified", path: "/bin/other" });
  await passes(mounted, "web", 7000, "/volume/any");
  fixture.removePod(mounted);
});

test("a container that was added to the pod has what is listed for any, unless a profile leaves it out", async () => {
  shop.start("debugger");
  await known(shop, "debugger", 7000, "/bin/other");
  const strict = fixture.addPod("strict");
  for (const container of ["web", "debugger", "known"]) strict.start(container);
  await stateOf(strict, "enforced");
  await known(strict, "web", 7000, "/bin/app");
  await known(strict, "known", 7001, "/bin/other");
  for (const container of ["debugger", "known"]) {
    await stops(strict, container, 7000, ["/bin/app"], { reason: "BinaryUnknown", path: "/bin/app" });
  }
  fixture.removePod(strict);
});

test("a container has no more than its rights from its first packet on, and all of them a moment later", async () => {
  const [allowed, denied] = [fixture.fixture.tag(), fixture.fixture.tag()];
  const mark = fixture.events.mark();
  const early = fixture.addPod("early", { app: "shop", cgroups: "CRI-O, systemd" });
  early.start("sidecar", "/bin/app", ...sending(7000, denied));
  early.start("web", "/bin/app", "sleep", String(patiently(300)), ...sending(7000, allowed));
  // Until it is known which container a process is in, it has the rights of none.
  const dropped = (event: AgentEvent) =>
    isVerdict(event) &&
    event.workload.name === "early" &&
    event.verdict === "dropped" &&
    event.process?.path === "/bin/app";
  await fixture.events.waitFor("a drop", dropped, { from: mark });
  assert.deepEqual(await fixture.fixture.servers.received(denied), []);
  await eventually("what is allowed", async () => (await fixture.fixture.servers.received(allowed)).length === 1);
});

test("a pod that nobody has described yet gets nothing out, until somebody does", async () => {
  const stranger = fixture.addPod("stranger", { app: "shop", known: false, cgroups: "Docker, systemd" });
  stranger.start("web");
  const tag = fixture.fixture.tag();
  await stranger.exec("web", "/bin/app", ...sending(7000, tag)).finish();
  assert.deepEqual(await fixture.fixture.servers.received(tag), []);
  fixture.tellAll();
  await stateOf(stranger, "enforced");
  await known(stranger, "web", 7000, "/bin/app");
  await passes(stranger, "web", 7000, "/bin/app");
});

test("what was a pod's goes with it", async () => {
  fixture.removePod(shop);
  await stateOf(shop, "gone");
  const state = JSON.parse(readFileSync(join(fixture.fixture.agent.stateFolder, "state.json"), "utf8"));
  const names = (state.workloads as { name: string }[]).map(({ name }) => name).sort();
  assert.deepEqual(names, ["early", "stranger"]);
});
