/** The step about what has been recorded: who talked to whom, by which process, and under which names. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Story } from "./story.ts";
import { netnsOf } from "./topology.ts";

/** The agent takes a moment to keep what it has reported. */
const ATTEMPTS = 20;
const ASK_AGAIN_MS = 250;

export async function whoTalked(story: Story): Promise<void> {
  await story.begin("Who talked to whom? The agent has kept records of it");
  const pong = netnsOf("pong");
  await answered(
    story,
    ["who", pong],
    [
      ["my-app", "80/tcp", "allowed"],
      ["/usr/bin/curl", "alerted"],
    ],
  );
  await answered(story, ["top", "names", "--by", "process"], [["/my-app", "pong."]]);
  story.conclude("Every conversation with its process, its name and its verdict, also of the time before the kill.");
}

/** Asks until there is a line with all words of each list. @param expected exit status @returns the answer */
export async function answered(
  story: Story,
  question: readonly string[],
  lines: readonly string[][],
  expected = 0,
): Promise<string> {
  const { screen, stage } = story;
  screen.command("node", `portcullis ${question.join(" ")}`);
  const [subcommand = "", ...args] = question;
  for (let attempt = 1; ; attempt += 1) {
    const { stdout, stderr, status } = await stage.ask(screen.innerWidth, subcommand, ...args);
    const isThere = lines.every((words) =>
      stdout.split("\n").some((line) => words.every((word) => line.includes(word))),
    );
    if (!isThere && attempt < ATTEMPTS) {
      await sleep(ASK_AGAIN_MS);
      continue;
    }
    story.holds(status === expected && isThere, `the answer to \`portcullis ${question.join(" ")}\``, stdout + stderr);
    screen.result(stdout);
    return stdout;
  }
}
