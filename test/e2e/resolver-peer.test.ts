/** §4 `peers: [resolver]`: the name servers of the workload's resolv.conf may be asked, and no other address. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { PORTCULLIS } from "./harness/agent-under-test.ts";
import { Fixture } from "./harness/fixture.ts";
import { RunningProcess } from "./harness/processes.ts";
import { egress, profile } from "./harness/profiles.ts";
import { addSearchDomains } from "./harness/resolver.ts";

const DNS = "198.51.100.53";
const SERVER = "198.51.100.1";
const ELSEWHERE = "198.51.100.2";
const PORTS: EgressRules = {
  fqdns: ["www.example.com"],
  l4: {
    protocolPorts: [
      { protocol: "udp", port: 53 },
      { protocol: "udp", port: 7000 },
      { protocol: "tcp", port: 80 },
    ],
  },
};

const fixture = await Fixture.start("resolver", {
  apps: ["shop"],
  zone: { "www.example.com": { a: [SERVER] } },
  profiles: (fixture) => {
    addSearchDomains(fixture, "shop", []);
    return [
      profile("shop", [
        egress(fixture.program("listed"), { ...PORTS, peers: ["resolver"] }),
        egress(fixture.program("without"), { ...PORTS, cidr4: ["192.0.2.0/24"] }),
      ]),
    ];
  },
});
const shop = fixture.workload("shop");
const asking = (server: string) => `udp4 connect ${server} 53 ask www.example.com A`;

test("a process asks the resolver without its address in the profile, and reaches what it is answered", async () => {
  const listed = fixture.path("bin/listed");
  await fixture.passes(shop, listed, `${asking(DNS)} udp4 sendto ${SERVER} 7000 TAG recv`);
  // The same without it, which shows that it is what lets the question through.
  await fixture.stops(shop, fixture.path("bin/without"), asking(DNS), { reason: "Peer" });
});

test("no other address is a resolver, whatever it is asked", async () => {
  await fixture.stops(shop, fixture.path("bin/listed"), asking(ELSEWHERE), { reason: "Peer" });
  await fixture.stops(shop, fixture.path("bin/listed"), `udp4 sendto ${ELSEWHERE} 7000 TAG recv`, { reason: "Peer" });
});

test("explain says so, and proposes it for a profile without", async () => {
  const file = fixture.path("explained.yaml");
  const process = "/bin/app";
  const explain = async (rules: EgressRules) => {
    writeFileSync(file, JSON.stringify(profile("shop", [egress(process, rules)])));
    const question = ["--process", process, "--dns", "www.example.com", "--to", `${DNS}:53/udp`, "--resolver", DNS];
    const args = ["explain", "--profiles", file, "--label", "app=shop", ...question];
    return await RunningProcess.in(fixture.topology.node.name, PORTCULLIS, args).finish(20_000);
  };
  const allowed = await explain({ ...PORTS, peers: ["resolver"] });
  assert.equal(allowed.code, 0, allowed.stderr);
  assert.match(allowed.stdout, /pass +Peer +198\.51\.100\.53 +peers\[0\]: resolver/);
  const denied = await explain({ ...PORTS, cidr4: ["192.0.2.0/24"] });
  assert.equal(denied.code, 1, denied.stderr);
  assert.match(denied.stdout, /egress:\n +peers:\n +- resolver\n/);
});

test("run: a first profile has no address in it", async () => {
  const curl = fixture.program("curl", "/usr/bin/curl");
  const file = fixture.path("first.yaml");
  writeFileSync(file, JSON.stringify(profile("shop", [egress(curl, { ...PORTS, peers: ["resolver"] })])));
  const resolvConf = fixture.path("resolv.conf");
  writeFileSync(resolvConf, `nameserver ${DNS}\noptions timeout:1 attempts:1\n`);
  const script = `mount --bind ${resolvConf} "$(readlink -f /etc/resolv.conf)" && exec "$@"`;
  const run = [PORTCULLIS, "run", "--profile", file, "--", curl, "-sS", "--max-time", "5", "http://www.example.com/"];
  const command = ["--mount", "--propagation", "slave", "sh", "-c", script, "sh", ...run];
  const { code, stdout, stderr } = await RunningProcess.in(fixture.topology.node.name, "unshare", command).finish(
    30_000,
  );
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "hello\n");
});
