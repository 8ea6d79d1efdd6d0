/**
 * `make demo`: the main job on this machine's own kernel, in under a minute. Exits with 0 only if every step showed
 * what it says; 1 if one did not, 130 after Ctrl-C. Whatever happens, it leaves nothing behind.
 */
import { play } from "./play.ts";
import { agentKilled, alertOnly, status, switchToEnforce } from "./steps-life.ts";
import { whoTalked } from "./steps-questions.ts";
import {
  allowed,
  attacker,
  otherAddress,
  otherName,
  shellInPing,
  shellInPong,
  start,
  withoutPortcullis,
} from "./steps-rules.ts";

const ABOUT =
  "Three pods of one node, each with a SecurityProfile of examples/ that says which of its processes may talk to whom. " +
  "What happens at the veths is shown as the agent reports it.";
const STEPS = [
  withoutPortcullis,
  start,
  allowed,
  otherName,
  otherAddress,
  shellInPing,
  shellInPong,
  attacker,
  alertOnly,
  switchToEnforce,
  agentKilled,
  whoTalked,
  status,
];

// What a step left running in a torn-down stage must not keep the process.
process.exit(await play(ABOUT, STEPS));
