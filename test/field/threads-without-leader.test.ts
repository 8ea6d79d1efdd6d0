/**
 * A process whose first thread has ended goes on with its others, as some runtimes do. cilium/tetragon#558, "tetragon: Switch exit
 * tracepoint to __put_task_struct kprobe": the end of the first thread was taken for the process's. Its other threads open connections,
 * start programs, and are replaced by one.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const SERVER = "198.51.100.1";
const RULES = {
  cidr4: [`${SERVER}/32`],
  l4: { protocolPorts: [{ protocol: "tcp", port: 7000 } as const, { protocol: "tcp", port: 80 } as const] },
};

/** Its second thread does something once the first has ended (exit, 60 on x86-64 and 93 on arm64, ends one thread alone). */
const WITHOUT_LEADER = (then: string) => `
import ctypes, os, platform, socket, subprocess, sys, threading, time
older = socket.create_connection(("${SERVER}", 7000), timeout=2)
def rest():
    while open(f"/proc/{os.getpid()}/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)
    time.sleep(0.2)
    try:
        ${then.trim().replaceAll("\n", "\n        ")}
    except Exception as error:
        print(error, flush=True)
    os._exit(0)
threading.Thread(target=rest).start()
ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)
`;
const EXCHANGE = `
for peer in (older, socket.create_connection(("${SERVER}", 7000), timeout=2)):
    peer.sendall(b"x")
    print(peer.recv(1).decode(), flush=True)`;

const fixture = await Fixture.start("noleader", {
  apps: ["app"],
  profiles: (fixture) => [
    profile("app", [egress(PYTHON, RULES), egress(fixture.program("child", "/usr/bin/curl"), RULES)]),
  ],
});
const app = fixture.workload("app");
const child = fixture.path("bin", "child");
const stranger = fixture.program("stranger", "/usr/bin/curl");
const fetching = (program: string) => `["${program}", "-s", "-m", "0.5", "http://${SERVER}/"]`;
const runs = async (then: string) => {
  const mark = fixture.agent.events.mark();
  const { stdout } = await fixture.run(app, PYTHON, ["-c", WITHOUT_LEADER(then)]);
  return { stdout, mark };
};

test("its connections, old and new, are its own", async () => {
  const { stdout, mark } = await runs(EXCHANGE);
  assert.equal(stdout, "x\nx\n");
  assert.deepEqual(
    fixture.agent.events.since(mark, (event) => event.type === "verdict" && event.verdict === "dropped"),
    [],
  );
});

test("what it starts is judged by its own rules", async () => {
  const { stdout } = await runs(`print(subprocess.run(${fetching(child)}, capture_output=True).stdout, flush=True)`);
  assert.equal(stdout, "b'hello\\n'\n");
});

test("what it starts has none of its rights, and what replaces it neither", async () => {
  for (const then of [`subprocess.run(${fetching(stranger)})`, `os.execv("${stranger}", ${fetching(stranger)})`]) {
    const { stdout, mark } = await runs(then);
    assert.equal(stdout, "");
    await fixture.violation({ reason: "BinaryUnknown", path: stranger, proto: "tcp" }, mark);
  }
});
