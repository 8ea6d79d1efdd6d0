/** Writes records until it is killed, and says of each when: `writer-process.ts FOLDER SOCKET FIRST`. The count of a record is its number. */
import { createLogger } from "../../../telemetry/logger.ts";
import { Records } from "../records.ts";
import { sampleRecord } from "./sample-records.ts";

const [, , folder = "", socket = "", first = "0"] = process.argv;
const begun = Promise.withResolvers<void>();
const records = new Records({
  ...{ folder, limit: 2 ** 30, socket, node: "x", exports: [], serve: null },
  log: createLogger({ write: () => {} }),
});
records.subscribe(() => begun.resolve());
let number = Number(first);
// The thread of records keeps no process alive.
const hold = setInterval(() => {}, 1000);
await begun.promise;
clearInterval(hold);
setInterval(() => {
  const time = Date.now();
  records.write({ ...sampleRecord(number, time), count: number });
  process.stdout.write(`${JSON.stringify([number, time])}\n`);
  number += 1;
}, 2);
