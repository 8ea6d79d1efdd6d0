/** Commands that read standard input wait for whoever writes it, and no longer than they have to. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DROPPED } from "../explain/testing/dropped-event.ts";

const PORTCULLIS = fileURLToPath(new URL("../../../bin/portcullis", import.meta.url));
const PROFILE = `apiVersion: security.datadoghq.com/v1
kind: SecurityProfile
metadata: {name: web, labels: {app: web}}
spec: {processes: [{path: /bin/app, network: {egress: {cidr4: [10.0.0.0/8], l4: {protocols: [tcp]}}}}]}
`;
const folder = mkdtempSync(join(tmpdir(), "portcullis-input-"));
const file = join(folder, "profile.yaml");
writeFileSync(file, PROFILE);
after(() => rmSync(folder, { recursive: true }));

/** Longer than a command needs to come to read. */
const LATER = "sleep 1.5";

for (const [what, command, status] of [
  ["validate", `(${LATER}; cat ${file}) | ${PORTCULLIS} validate -`, 0],
  [
    "explain, profiles",
    `(${LATER}; cat ${file}) | ${PORTCULLIS} explain --profiles - --label app=web --process /bin/app --to 10.0.0.7:80/tcp`,
    0,
  ],
  [
    "explain, an event",
    `(${LATER}; echo '${JSON.stringify(DROPPED)}') | ${PORTCULLIS} explain --profiles ${file} --event -`,
    1,
  ],
] as const) {
  test(`${what}: in a pipe whose writer takes its time, as helm and kubectl do`, () => {
    const ended = spawnSync("sh", ["-c", command], { encoding: "utf8" });
    assert.equal(ended.stderr, "");
    assert.equal(ended.status, status, ended.stdout);
  });
}

test("explain answers the first event, though its writer goes on, as observe does", async () => {
  const explain = spawn(PORTCULLIS, ["explain", "--profiles", file, "--event", "-"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  explain.stdin.write(`${JSON.stringify({ time: DROPPED.time, type: "ready", workloads: [] })}\n`);
  explain.stdin.write(`${JSON.stringify(DROPPED)}\n`);
  let answer = "";
  explain.stdout.on("data", (text) => (answer += text));
  const [status] = await once(explain, "close");
  assert.equal(status, 1);
  assert.match(answer, /^To allow it, add this to spec\.processes\[0\]/m);
});
