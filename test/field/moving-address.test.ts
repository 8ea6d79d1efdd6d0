/**
 * keepalived in a pod takes a virtual address over from somebody else (antrea-io/antrea#129, cilium/cilium#25933). Whoever asks for
 * the address hears the new owner at once, also while the agent is dead. Neighbours that still remember the former owner learn of
 * the new one by gratuitous ARP, which keepalived sends by a packet socket: that takes a `default` with ARP.
 */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { patiently } from "../e2e/harness/patience.ts";
import { entry, ingress, type ProfileParts, profile } from "../e2e/harness/profiles.ts";
import { runIn, type WorkloadPlace } from "../e2e/harness/topology.ts";

const KEEPALIVED = "/usr/sbin/keepalived";
const FORMER_OWNER = "02:aa:bb:cc:dd:ee";
const VRRP = 112;
const ANNOUNCING: ProfileParts = {
  default: { egress: { l3: { protocols: ["arp"] } }, ingress: { l3: { protocols: ["arp"] } } },
};
const skip = !existsSync(KEEPALIVED) && "keepalived is not installed here";

const fixture = await Fixture.start("keepalived", {
  apps: ["quiet", "announcing"],
  profiles: (fixture) => {
    const processes = [
      entry(KEEPALIVED, { egress: { cidr4: ["224.0.0.18/32"], l4: { protocols: [VRRP] } } }),
      ingress(fixture.program("server"), {
        cidr4: ["203.0.113.0/24"],
        l4: { protocolPorts: [{ protocol: "tcp", port: 8080 }] },
      }),
    ];
    return [profile("quiet", processes), profile("announcing", processes, ANNOUNCING)];
  },
});
const { node, outside } = fixture.topology;
const visitor = fixture.program("visitor");

/** Starts keepalived, which has the address a moment later. */
async function takeOver(place: WorkloadPlace, address: string) {
  const conf = fixture.path(`${place.app}-${address}.conf`);
  writeFileSync(
    conf,
    `global_defs { vrrp_version 3; vrrp_garp_master_repeat 2 }
vrrp_instance virtual {
  state MASTER
  interface eth0
  virtual_router_id 7
  priority 255
  advert_int 0.2
  garp_master_delay 1
  virtual_ipaddress { ${address}/24 dev eth0 }
}
`.replaceAll("; ", "\n  "),
  );
  const files = ["-p", `${conf}.pid`, "-r", `${conf}.vrrp`];
  const keepalived = fixture.start(place, KEEPALIVED, ["-n", "-l", "-D", "-P", "-f", conf, ...files]);
  for (let tries = 0; !runIn(place.name, "ip", "-4", "address", "show", "dev", "eth0").includes(address); tries += 1) {
    assert.ok(tries < 50, `${keepalived.stdout}${keepalived.stderr}`);
    await new Promise((settle) => setTimeout(settle, 100));
  }
  return keepalived;
}

const visit = async (address: string) =>
  (await fixture.run(outside, visitor, `timeout ${patiently(1000)} tcp4 connect ${address} 8080 send x recv`)).code;
const remembered = (place: WorkloadPlace, address: string) =>
  runIn(node.name, "ip", "neigh", "show", address, "dev", place.hostInterface);

for (const app of ["quiet", "announcing"]) {
  test(`${app}: a virtual address is answered within a second of its being taken`, { skip }, async () => {
    const place = fixture.workload(app);
    const address = place.ipv4.replace(/2$/, "77");
    const server = fixture.start(place, fixture.path("bin", "server"), "tcp4 bind 0.0.0.0 8080 listen echo");
    await server.line("listening");
    const mark = fixture.agent.events.mark();
    const keepalived = await takeOver(place, address);
    assert.equal(await visit(address), 0);
    const vrrp = fixture.agent.events.since(mark, (event) => isVerdict(event) && event.proto === String(VRRP));
    assert.ok(vrrp.length > 0, "its own messages are judged as its own");
    assert.ok(
      vrrp.every((event) => isVerdict(event) && event.verdict === "allowed" && event.process?.path === KEEPALIVED),
    );
    for (const running of [keepalived, server]) await running.kill("SIGTERM");
  });
}

test("neighbours that remember the former owner are reported, where the `default` has ARP", { skip }, async () => {
  const address = (place: WorkloadPlace) => place.ipv4.replace(/2$/, "78");
  const [quiet, announcing] = [fixture.workload("quiet"), fixture.workload("announcing")];
  for (const place of [quiet, announcing]) {
    const entryOf = ["lladdr", FORMER_OWNER, "dev", place.hostInterface, "nud", "reachable"];
    runIn(node.name, "ip", "neigh", "replace", address(place), ...entryOf);
  }
  const mark = fixture.agent.events.mark();
  const running = [await takeOver(quiet, address(quiet)), await takeOver(announcing, address(announcing))];
  await fixture.violation({ reason: "Ethertype", path: null, proto: "arp" }, mark, quiet);
  await new Promise((settle) => setTimeout(settle, 1500));
  assert.match(remembered(quiet, address(quiet)), new RegExp(FORMER_OWNER), "nobody has told the neighbour");
  assert.doesNotMatch(remembered(announcing, address(announcing)), new RegExp(FORMER_OWNER));
  for (const one of running) await one.kill("SIGTERM");
});

test("while the agent is dead a virtual address is answered as well", { skip }, async () => {
  const place = fixture.workload("quiet");
  const address = place.ipv4.replace(/2$/, "79");
  const server = fixture.start(place, fixture.path("bin", "server"), "tcp4 bind 0.0.0.0 8080 listen echo");
  await server.line("listening");
  await fixture.agent.crash();
  const keepalived = await takeOver(place, address);
  assert.equal(await visit(address), 0);
  for (const running of [keepalived, server]) await running.kill("SIGTERM");
  await fixture.agent.start();
});
