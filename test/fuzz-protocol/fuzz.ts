/**
 * Fuzzing of everything that the network reaches.
 *
 *   node test/fuzz-protocol/fuzz.ts --seconds 60 [--seed 1]
 *
 * Exit code 1 if an error went uncaught, or an input did harm beyond its own connection.
 */
import { parseArgs } from "node:util";
import { fuzzProtocols } from "./session.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" }, seed: { type: "string" } } });
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
console.log(`fuzzing for ${values.seconds} s from seed ${seed}`);
const { inputs, found } = await fuzzProtocols(seed, Number(values.seconds) * 1000);
console.log(`${inputs} inputs, ${found === null ? 0 : 1} unhandled`);
if (found !== null) console.log(found);
process.exit(found === null ? 0 : 1);
