/** Plays steps on a stage from its setting up to its removal, whatever happens in between. */
import { constants } from "node:os";
import { PortcullisError } from "../../src/api/errors.ts";
import { DemoSetupError } from "./command.ts";
import { showPicture } from "./picture.ts";
import { Screen } from "./screen.ts";
import { Stage } from "./stage.ts";
import { BrokenPromise, Story } from "./story.ts";

export type Step = (story: Story) => Promise<void>;

const EXIT_FAILED = 1;
const EXIT_SIGNAL_BASE = 128;

/** How a signal ends the telling. */
class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.exitCode = EXIT_SIGNAL_BASE + constants.signals[signal];
  }
}

/** @param about what the picture of the stage is followed by @returns the exit status: 0 only if every step showed what it says, 1 if one did not, 128 and the signal's number after a signal */
export async function play(about: string, steps: readonly Step[]): Promise<number> {
  const screen = new Screen(process.stdout);
  if (process.getuid?.() !== 0) {
    screen.failed("the demo makes network namespaces and loads programs into the kernel: run it as root");
    return EXIT_FAILED;
  }
  const begun = performance.now();
  let stage: Stage;
  try {
    stage = await Stage.clear();
  } catch (error) {
    return explainFailure(error, screen);
  }
  let exitCode = 0;
  try {
    await Promise.race([tell(screen, stage, { about, steps }), interruption()]);
  } catch (error) {
    exitCode = explainFailure(error, screen);
    // Steps that are under way run out of a stage that is being taken down.
    screen.mute();
  }
  const end = new Screen(process.stdout);
  try {
    await stage.remove();
  } catch (error) {
    return explainFailure(error, end);
  }
  const seconds = Math.round((performance.now() - begun) / 1000);
  end.explain("", `Namespaces, pins and files of the demo are removed. It took ${seconds} s.`);
  return exitCode;
}

async function tell(
  screen: Screen,
  stage: Stage,
  { about, steps }: { about: string; steps: readonly Step[] },
): Promise<void> {
  showPicture(screen);
  screen.explain(about);
  await stage.build();
  const story = new Story(screen, stage, steps.length);
  for (const step of steps) await step(story);
  screen.line();
  story.table();
}

/** Fails at the first signal that asks for an end; further ones do not disturb the clean-up. */
function interruption(): Promise<never> {
  return new Promise((_, fail) => {
    // A mistake in the demo itself leaves nothing behind either.
    process.on("uncaughtException", fail);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => fail(new Interrupted(signal)));
  });
}

/** Says what went wrong; returns the exit status. */
function explainFailure(error: unknown, screen: Screen): number {
  if (error instanceof Interrupted) {
    // After the terminal's own ^C.
    screen.line();
    screen.failed(error.message);
    return error.exitCode;
  }
  if (error instanceof BrokenPromise) screen.failed(`This step did not show what it says.\n${error.message}`);
  else if (error instanceof PortcullisError || error instanceof DemoSetupError) screen.failed(error.message);
  else screen.failed(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT_FAILED;
}
