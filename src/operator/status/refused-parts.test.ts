/** A status of which the API server refuses one value: the rest is written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../kube/errors.ts";
import type { ProfileStatus } from "../profiles/profile-status.ts";
import { writeWhatIsTaken } from "./refused-parts.ts";

const STATUS: ProfileStatus = {
  observedGeneration: 1,
  mode: "Enforce",
  conditions: [],
  pods: { selected: 1, enforced: 1, unprotected: 0, text: "1/1" },
  nodes: { total: 1, ready: 1, text: "1/1" },
  dropped: 1e21,
  alerted: 5,
  lastViolation: { time: "2026-01-01T00:00:00Z", node: "n", pod: "p", process: "/x", reason: "Peer", remote: "" },
  failingNodes: [],
  processes: [],
};

/** An API server that refuses statuses for which a rule holds. */
function refusing(rule: (status: ProfileStatus) => boolean) {
  const kept: { status: ProfileStatus | null; writes: number } = { status: null, writes: 0 };
  const write = async (status: ProfileStatus) => {
    kept.writes += 1;
    if (rule(status)) throw new ApiError("PATCH status", 422, "Invalid", "no such value");
    kept.status = status;
  };
  return { kept, write };
}

test("one value that is refused is left out, all others are there", async () => {
  const { kept, write } = refusing(({ dropped }) => dropped > 2 ** 63);
  const { status, refused } = await writeWhatIsTaken(STATUS, write);
  const { dropped: _, ...rest } = STATUS;
  assert.deepEqual(kept.status, rest);
  assert.deepEqual(status, rest);
  assert.deepEqual(
    refused.map(({ part }) => part),
    ["dropped"],
  );
});

test("what is taken as it is costs one write", async () => {
  const { kept, write } = refusing(() => false);
  await writeWhatIsTaken(STATUS, write);
  assert.deepEqual(kept, { status: STATUS, writes: 1 });
});

test("other failures are not taken for refusals, and nor is a status of which nothing is taken", async () => {
  await assert.rejects(writeWhatIsTaken(STATUS, refusing(() => true).write), { code: "PC_KUBE_API" });
  const away = () => Promise.reject(new ApiError("PATCH status", 503, "ServiceUnavailable", "later"));
  await assert.rejects(writeWhatIsTaken(STATUS, away), /503/);
});
