/** A table that is edited without end is compiled for a tenth of the time, and what was edited last is in force in the end. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { SecurityProfileSpec } from "../../api/types.ts";
import { eventually } from "../../kube/testing/silence.ts";
import { TestCluster } from "../testing/cluster.ts";

const PREFIXES = 20_000;
const EDITING_MS = 3_000;
const BETWEEN_EDITS_MS = 30;
/** A tenth, and what the two compilations at the ends take. */
const SHARE = 0.2;
const LIMIT_MS = 30_000;

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(() => cluster.close());

const large = (first: number): SecurityProfileSpec => ({
  actions: ["enforce"],
  default: {
    egress: { cidr4: Array.from({ length: PREFIXES }, (_, n) => `${first}.${n >> 8}.${n & 255}.0/24`) },
  },
});

test("a profile of 20,000 prefixes, edited all the time", async () => {
  cluster.pod("web");
  cluster.profile("web", large(1));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  const first = () => {
    const table = agent.held.tables.get(agent.binding("web")?.tableHash ?? "");
    return table?.default?.egress.peers4[0]?.address ?? "";
  };
  await eventually("the first revision", () => first() === "1.0.0.0", LIMIT_MS);
  const before = await compileSeconds();
  const start = performance.now();
  let generation = 1;
  while (performance.now() - start < EDITING_MS) {
    generation += 1;
    cluster.profile("web", large(generation), generation);
    await wait(BETWEEN_EDITS_MS);
  }
  const share = ((await compileSeconds()) - before) / ((performance.now() - start) / 1000);
  assert.ok(share < SHARE, `${share.toFixed(2)} of the time`);
  await eventually("the last revision", () => first() === `${generation}.0.0.0`, LIMIT_MS);

  async function compileSeconds(): Promise<number> {
    const text = await operator.telemetry.registry.metrics();
    return Number(/^portcullis_operator_compile_seconds_sum (.*)$/m.exec(text)?.[1]);
  }
});
