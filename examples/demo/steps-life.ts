/** The steps about the life of a policy: alert-only, enforce, an agent that is killed, and the end. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RevisionEvent } from "../../src/flow/record.ts";
import { collect, ended } from "./command.ts";
import { pinnedObjects, survivors } from "./stage.ts";
import type { Story } from "./story.ts";
import { ADDRESS, PONG_NAME } from "./topology.ts";

const PAGE = `http://${PONG_NAME}/`;
const PONG_SAYS = "pong\n";
const NC = "/usr/bin/nc";
const CURL = "/usr/bin/curl";
const CURL_TIMEOUT = 28;

/** How long an answer that must not come is waited for; those that do come take a millisecond. */
const SILENCE_MS = 600;
/** The kernel frees programs and maps a little after the last reference to them is gone. */
const FREED_ATTEMPTS = 40;
const LOOK_AGAIN_MS = 50;

/** Alert-only, and from there to enforce, with a connection that stays open. */
export async function alertOnly(story: Story): Promise<void> {
  await story.begin("Alert-only: the same shell, watched instead of stopped", ["ping"]);
  await changeActions(story, ["alert"]);
  const { stdout } = await story.shell("ping", `curl -sSm2 ${PAGE}`);
  await story.verdict({ pod: "ping", verdict: "alerted", reason: "BinaryUnknown", path: CURL, proto: "udp" });
  await story.verdict({ pod: "ping", verdict: "alerted", reason: "BinaryUnknown", path: CURL, proto: "tcp" });
  story.holds(stdout === PONG_SAYS, "the shell gets the page of pong", stdout);
  story.conclude("Nothing is dropped, everything is reported: the way to try a profile out.");
}

export async function switchToEnforce(story: Story): Promise<void> {
  const { screen } = story;
  await story.begin("... and back to enforce, in the middle of a connection", ["ping"]);
  const connection = story.open("ping", `nc ${ADDRESS.pong} 80`);
  try {
    const answer = connection.stdout === null ? () => "" : collect(connection.stdout);
    screen.explain("> GET / HTTP/1.1");
    connection.stdin?.write("GET / HTTP/1.1\r\n");
    await story.verdict({ pod: "ping", verdict: "alerted", reason: "BinaryUnknown", path: NC });
    await changeActions(story, ["alert", "enforce"]);
    screen.explain("> Host: pong");
    connection.stdin?.write("Host: pong\r\nConnection: close\r\n\r\n");
    await story.verdict({ pod: "ping", verdict: "dropped", reason: "BinaryUnknown", path: NC });
    await sleep(SILENCE_MS);
    story.holds(answer() === "", "no answer to a request whose second half was dropped", answer());
  } finally {
    connection.kill("SIGKILL");
    await ended(connection);
  }
  story.conclude("The connection was open; its very next packet is dropped, and the answer never comes.");
}

export async function agentKilled(story: Story): Promise<void> {
  const { screen, stage } = story;
  await story.begin("The agent is killed", ["ping"]);
  screen.command("node", `kill -9 ${stage.agent.pid}`);
  await stage.agent.kill();
  const app = await story.program("ping", `my-app -sS ${PAGE}`);
  story.holds(app.stdout === PONG_SAYS, "my-app gets the page of pong without an agent", app);
  const shell = await story.shell("ping", `curl -sSm1 ${PAGE}`);
  story.holds(shell.status === CURL_TIMEOUT, "the shell gets nothing without an agent", shell);
  screen.command("node", "portcullis agent ...");
  const agent = stage.startAgent();
  agent.subscribe((event) => story.hear(event));
  await agent.ready();
  await story.verdict({ pod: "ping", verdict: "dropped", reason: "BinaryUnknown", path: CURL });
  story.conclude("The kernel went on without it. The new agent adopts what it finds, and tells what it missed.");
}

export async function status(story: Story): Promise<void> {
  const { screen, stage } = story;
  await story.begin("What is in force, and its end");
  screen.command("node", "portcullis status");
  const { stdout, stderr, status: exit } = await stage.portcullis(screen.innerWidth, "status");
  story.holds(exit === 0, "`portcullis status` ends with 0", stderr);
  screen.result(sectionOf(stdout, "ping"));
  const objects = await pinnedObjects();
  await stage.agent.kill();
  screen.command("node", "portcullis detach --all");
  const detached = await stage.portcullis(screen.innerWidth, "detach", "--all");
  story.holds(detached.status === 0, "`portcullis detach --all` ends with 0", detached);
  screen.result(detached.stdout);
  const { programs, maps, links } = objects;
  let left = await survivors(objects);
  for (let attempt = 0; left > 0 && attempt < FREED_ATTEMPTS; attempt += 1) {
    await sleep(LOOK_AGAIN_MS);
    left = await survivors(objects);
  }
  story.holds(left === 0, "no program, map or link is left in the kernel", `${left} left`);
  const free = await story.shell("ping", `curl -sSm2 ${PAGE}`);
  story.holds(free.stdout === PONG_SAYS, "the pods talk as before", free);
  story.conclude(
    `Of ${programs.length} programs, ${maps.length} maps and ${links.length} links in the kernel, none is left.`,
  );
}

/** Edits ping's profile and waits until the change is in force. */
async function changeActions(story: Story, actions: readonly string[]): Promise<void> {
  const { screen, stage } = story;
  screen.command("node", `sed -i 's/actions: .*/actions: [${actions.join(", ")}]/' ping.yaml`);
  await inForce(story, () => stage.setActions("ping", actions));
}

/** Makes a change of profiles, and waits until it is in force. */
export async function inForce(story: Story, change: () => void): Promise<void> {
  const begun = performance.now();
  change();
  const revision = await story.event(
    (event): event is RevisionEvent => event.type === "revision",
    'a line of type "revision"',
  );
  story.holds(!revision.refused, "the change is accepted", revision);
  story.screen.verdict(`revision in force after ${Math.round(performance.now() - begun)} ms`);
}

/** The part of the status that is about one pod. */
function sectionOf(text: string, pod: string): string {
  const sections = text.split(/\n(?=\S+\/\S+\n)/);
  const section = sections.find((part) => /^\S+\/(\S+)\n/.exec(part)?.[1]?.endsWith(`-${pod}`) === true) ?? text;
  return section.split(/\n(?=\S)/)[0] ?? "";
}
