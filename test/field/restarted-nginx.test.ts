/**
 * nginx that is reloaded and started anew under its clients (projectcalico/calico#4124, kubernetes/kubernetes#125979): its sockets
 * go from master to workers and to new workers, and for a moment nobody listens. What is open goes on, who comes in between
 * hears at once that nobody is there, and who comes afterwards is answered.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { patiently } from "../e2e/harness/patience.ts";
import { ingress, profile } from "../e2e/harness/profiles.ts";
import { runIn } from "../e2e/harness/topology.ts";
import { nginxArguments } from "../e2e/software/nginx.ts";

const NGINX = "/usr/sbin/nginx";
const PYTHON = realpathSync("/usr/bin/python3");
const PORT = 8080;
/** Longer than what fits one connection's buffers at a time. */
const LONG_BYTES = 3_000_000;
const skip = !existsSync(NGINX) && "nginx is not installed here";

const fixture = await Fixture.start("nginx", {
  apps: ["web"],
  profiles: () => [
    profile("web", [
      ingress(NGINX, {
        cidr4: ["203.0.113.0/24"],
        l4: { protocolPorts: [{ protocol: "tcp", port: PORT }] },
        l7: { protocols: ["http"] },
      }),
    ]),
  ],
});
const web = fixture.workload("web");
const { outside } = fixture.topology;
mkdirSync(fixture.path("www"));
writeFileSync(fixture.path("www", "index.html"), "hello\n");
writeFileSync(fixture.path("www", "long"), "x".repeat(LONG_BYTES));
const LONG = "location /long { limit_rate 1000k; }";
const run = nginxArguments(
  fixture,
  `listen ${PORT} reuseport; root ${fixture.path("www")}; keepalive_timeout 60s; ${LONG}`,
);

const serve = () => fixture.start(web, NGINX, run);
const get = (path: string, ...more: string[]) =>
  fixture.run(outside, "/usr/bin/curl", ["-sS", "--max-time", "8", ...more, `http://${web.ipv4}:${PORT}${path}`]);

async function answers(): Promise<void> {
  const end = performance.now() + patiently(5_000);
  while ((await get("/")).stdout !== "hello\n") assert.ok(performance.now() < end, "nginx does not answer");
}

test("a reload: a response goes on to its end, and new workers answer", { skip }, async () => {
  const nginx = serve();
  await answers();
  const mark = fixture.agent.events.mark();
  const long = get("/long", "-o", "/dev/null", "-w", "%{size_download}");
  await sleep(200);
  nginx.child.kill("SIGHUP");
  for (let asked = 0; asked < 10; asked += 1) assert.equal((await get("/")).stdout, "hello\n");
  assert.equal((await long).stdout, String(LONG_BYTES));
  assert.deepEqual(
    fixture.agent.events.since(
      mark,
      (event) => isVerdict(event) && event.verdict === "dropped" && event.proto === "tcp",
    ),
    [],
  );
  await nginx.kill("SIGTERM");
});

test("a start anew: refused at once while nobody is there, answered as soon as somebody is", { skip }, async () => {
  const first = serve();
  await answers();
  await first.kill("SIGTERM");
  const began = performance.now();
  const between = await get("/");
  assert.equal(between.code, 7, `refused, not silent: ${between.stderr}`);
  assert.ok(performance.now() - began < patiently(1_000));
  const second = serve();
  await answers();
  await second.kill("SIGTERM");
});

test("another program in its place answers nobody", { skip }, async () => {
  const mark = fixture.agent.events.mark();
  const other = fixture.start(web, PYTHON, ["-m", "http.server", String(PORT), "--directory", fixture.path("www")]);
  const end = performance.now() + patiently(10_000);
  while (runIn(web.name, "ss", "-Hltn", `sport = :${PORT}`) === "") {
    assert.ok(performance.now() < end, `${PYTHON} does not listen: ${other.stderr}`);
    await sleep(50);
  }
  assert.notEqual((await get("/", "--connect-timeout", "1")).stdout, "hello\n");
  await fixture.violation({ reason: "BinaryUnknown", direction: "ingress", path: PYTHON }, mark);
  await other.kill();
});
