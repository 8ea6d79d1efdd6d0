/**
 * A pod with rules for ingress sends much over a path that is narrower than its own link. cilium/cilium#26193, "ICMP Fragmentation blocked when ingress
 * policy present": a router's message that the packet is too big comes from another address than the peer's and was dropped, so
 * that uploads stalled while short requests passed.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";
import { runIn } from "../e2e/harness/topology.ts";

const CURL = "/usr/bin/curl";
const MTU = 1300;
const BYTES = 200_000;
const PEERS = { IPv4: "198.51.100.1", IPv6: "2001:db8:1::1" };

const fixture = await Fixture.start("smallerpath", {
  apps: ["app", "deaf"],
  profiles: () => [
    profile("app", [
      entry(CURL, {
        egress: {
          cidr4: [`${PEERS.IPv4}/32`],
          cidr6: [`${PEERS.IPv6}/128`],
          l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] },
        },
        ingress: { cidr4: ["192.0.2.0/24"], cidr6: ["2001:db8:99::/64"], l4: { protocols: ["tcp"] } },
      }),
    ]),
  ],
});
const { node, outside } = fixture.topology;
const app = fixture.workload("app");
/** The product has no profile for it; nftables drops the messages. */
const deaf = fixture.workload("deaf");
runIn(
  deaf.name,
  "nft",
  `table inet deaf { chain in { type filter hook input priority 0;
    icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }; }`,
);
runIn(node.name, "ip", "route", "replace", "198.51.100.0/24", "via", outside.ipv4, "mtu", String(MTU));
runIn(node.name, "ip", "-6", "route", "replace", "2001:db8:1::/64", "via", outside.ipv6, "mtu", String(MTU));
const upload = fixture.path("upload");
writeFileSync(upload, "x".repeat(BYTES));

for (const [family, peer] of Object.entries(PEERS)) {
  const url = `http://${family === "IPv6" ? `[${peer}]` : peer}/`;
  const post = ["-s", "-m", "3", "-H", "Expect:", "--data-binary", `@${upload}`, url];

  test(`${family}: an upload finds its way, with the messages of the path`, async () => {
    const mark = fixture.agent.events.mark();
    const { stdout, stderr } = await fixture.run(app, CURL, post);
    assert.equal(stdout, "hello\n", stderr);
    assert.match(runIn(app.name, "ip", "route", "get", peer), new RegExp(`mtu ${MTU}`), "it had to hear of it");
    assert.deepEqual(
      fixture.agent.events.since(mark, (event) => isVerdict(event) && event.verdict !== "allowed"),
      [],
    );
  });

  test(`${family}: without these messages the upload stalls`, async () => {
    assert.equal((await fixture.run(deaf, CURL, ["-s", "-m", "1", url])).stdout, "hello\n");
    assert.equal((await fixture.run(deaf, CURL, post)).code, 28);
  });
}
