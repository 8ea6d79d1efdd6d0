/**
 * For tests: runs a command in a private namespace, as `portcullis run` does without its profile. Arguments: the
 * folder of numbers, the command. Writes one line of JSON on descriptor 3 when the command has been started.
 */
import { writeSync } from "node:fs";
import { causeCode } from "../../../api/errors.ts";
import { CommandError, SignalRelay } from "../../sandbox/guest-process.ts";
import { createPrivateNamespace } from "../../sandbox/private-namespace.ts";

const [folder, first, ...rest] = process.argv.slice(2);
if (folder === undefined || first === undefined) throw new Error("usage: driver FOLDER COMMAND [ARGUMENT...]");

let exitCode: number;
using signals = new SignalRelay();
await using place = await createPrivateNamespace({ name: "driver", labels: { app: "driver" }, folder });
try {
  const guest = place.spawn([first, ...rest]);
  signals.relayTo(guest);
  const { id, workload, resolvers, collected, warnings } = place;
  const codes = warnings.map(causeCode);
  writeSync(3, `${JSON.stringify({ id, pid: guest.pid, workload, resolvers, collected, warnings: codes })}\n`);
  exitCode = await guest.exitCode;
} catch (error) {
  if (!(error instanceof CommandError)) throw error;
  writeSync(3, `${JSON.stringify({ error: error.message })}\n`);
  exitCode = error.exitCode;
}
process.exitCode = exitCode;
