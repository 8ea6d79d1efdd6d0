/**
 * The process that looks at files of pods for the agent. Each question is a chain of calls on threads of libuv's pool: one
 * that hangs holds one thread, and this process, which can be left behind when even a kill does not end it. It ends with the agent.
 */
import { causeText } from "../../api/errors.ts";
import { type Ask, answer, type QuestionKind } from "./questions.ts";

/** From the agent. */
export interface HelperQuestion {
  id: number;
  kind: QuestionKind;
  ask: Ask<QuestionKind>;
}

/** To the agent. */
export type HelperAnswer = { id: number; answer: unknown } | { id: number; error: string };

process.on("message", async ({ id, kind, ask }: HelperQuestion) => {
  send(
    await answer(kind, ask).then(
      (found): HelperAnswer => ({ id, answer: found }),
      (cause): HelperAnswer => ({ id, error: causeText(cause) }),
    ),
  );
});
process.once("disconnect", () => process.exit());

/** An agent that is gone needs no answer. */
function send(message: HelperAnswer): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
