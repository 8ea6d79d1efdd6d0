/**
 * A name whose answers rotate, each address with a lifetime of its own, and a program that goes on using an address it was given a while
 * ago. antrea-io/antrea#6722, "FQDN controller should cache TTLs for individual IP addresses in DNS responses": all addresses of
 * a name ended with the shortest lifetime, and a newer answer pushed out the addresses of an older one.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile, RESOLVER } from "../e2e/harness/profiles.ts";
import { addSearchDomains } from "../e2e/harness/resolver.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const NAME = "api.example.com";
const [LASTING, BRIEF] = ["198.51.100.1", "198.51.100.2"] as const;
/** Seconds. */
const LASTING_TTL = 8;

/** Looks a name up, or connects to an address, as each line of its input says. */
const APPLICATION = `
import socket, sys
for line in sys.stdin:
    verb, what = line.split()
    try:
        if verb == "lookup":
            print(verb, what, *sorted({found[4][0] for found in socket.getaddrinfo(what, 7000, socket.AF_INET)}), flush=True)
        else:
            with socket.create_connection((what, 7000), timeout=0.5) as peer:
                peer.sendall(b"x")
                print(verb, what, "answered" if peer.recv(1) else "ended", flush=True)
    except OSError as error:
        print(verb, what, type(error).__name__, flush=True)
`;

const fixture = await Fixture.start("rotating", {
  apps: ["app"],
  agentArgs: ["--fqdn-min-ttl", "1s", "--fqdn-grace", "0s"],
  zone: { [NAME]: { a: [LASTING], ttl: LASTING_TTL } },
  profiles: (fixture) => {
    addSearchDomains(fixture, "app", [], "timeout:2 attempts:1");
    const protocolPorts = [...RESOLVER.ports, { protocol: "tcp", port: 7000 } as const];
    return [profile("app", [egress(PYTHON, { cidr4: [...RESOLVER.cidr4], fqdns: [NAME], l4: { protocolPorts } })])];
  },
});
const app = fixture.workload("app");

test("each address of a name lives as long as its own answer said", async () => {
  const program = fixture.start(app, PYTHON, ["-u", "-c", APPLICATION], { ownResolver: true });
  let commands = 0;
  const says = async (line: string) => {
    program.tell(line);
    commands++;
    const lines = () => program.stdout.split("\n").slice(0, -1);
    while (lines().length < commands) await sleep(10);
    return lines()[commands - 1];
  };
  const [lasting, brief] = [`connect ${LASTING}`, `connect ${BRIEF}`];

  assert.match((await says(lasting)) ?? "", /TimeoutError|timeout/, "nobody has asked yet");
  const began = performance.now();
  assert.equal(await says(`lookup ${NAME}`), `lookup ${NAME} ${LASTING}`);
  assert.equal(await says(lasting), `${lasting} answered`);
  await fixture.servers.zone({ [NAME]: { a: [BRIEF], ttl: 1 } });
  assert.equal(await says(`lookup ${NAME}`), `lookup ${NAME} ${BRIEF}`);
  assert.equal(await says(brief), `${brief} answered`);
  assert.equal(await says(lasting), `${lasting} answered`, "the newer answer takes nothing from the older one");
  await sleep(1500);
  const mark = fixture.agent.events.mark();
  assert.doesNotMatch((await says(brief)) ?? "", /answered/, "its time is up");
  await fixture.violation({ reason: "Peer", path: PYTHON, proto: "tcp" }, mark);
  assert.equal(await says(lasting), `${lasting} answered`, "its time is not up");
  await sleep(Math.max(0, LASTING_TTL * 1000 + 500 - (performance.now() - began)));
  assert.doesNotMatch((await says(lasting)) ?? "", /answered/, "its time is up as well");
});
