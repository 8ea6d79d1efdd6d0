/**
 * A pod talks to a Service whose endpoint is itself: the node sends the connection back, from an address of its own. antrea-io/antrea#6483,
 * "NetPol block self pod trafic using an svc and not direct call". Here each end has its own rule: the client's about the Service's
 * address, the server's about the address that the node gives the connection.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import type { Direction } from "../../src/api/reasons.ts";
import type { AgentEvent } from "../../src/flow/record.ts";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, ingress, profile } from "../e2e/harness/profiles.ts";
import { runIn } from "../e2e/harness/topology.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const CURL = "/usr/bin/curl";
const SERVICE = "198.18.0.80";

const fixture = await Fixture.start("ownservice", {
  apps: ["web", "closed"],
  profiles: (fixture) => {
    const client = egress(CURL, { cidr4: [`${SERVICE}/32`], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } });
    const server = (...cidr4: string[]) =>
      ingress(PYTHON, { cidr4, l4: { protocolPorts: [{ protocol: "tcp", port: 8080 }] } });
    return [
      profile("web", [client, server(`${fixture.workload("web").gateway4}/32`)]),
      profile("closed", [client, server("192.0.2.0/24")]),
    ];
  },
});
const { node } = fixture.topology;

/** As kube-proxy does: the Service's address becomes the endpoint's, and what returns to its sender the node's. */
function serve(app: string): void {
  const { ipv4 } = fixture.workload(app);
  runIn(
    node.name,
    "nft",
    `table ip service; delete table ip service; table ip service {
      chain pre { type nat hook prerouting priority dstnat; ip daddr ${SERVICE} tcp dport 80 dnat to ${ipv4}:8080; }
      chain post { type nat hook postrouting priority srcnat; ip saddr ${ipv4} ip daddr ${ipv4} masquerade; }
    }`,
  );
}

async function fetchFrom(app: string, program = CURL) {
  const place = fixture.workload(app);
  serve(app);
  const server = fixture.start(place, PYTHON, ["-u", "-m", "http.server", "8080", "--directory", fixture.folder]);
  await server.line(/Serving HTTP/);
  const mark = fixture.agent.events.mark();
  const { stdout } = await fixture.run(place, program, [
    "-s",
    "-m",
    "2",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    `http://${SERVICE}/`,
  ]);
  await server.kill();
  return { place, mark, status: stdout };
}

test("a pod reaches itself by its Service, and either end is named rightly", async () => {
  const { place, mark, status } = await fetchFrom("web");
  assert.equal(status, "200");
  const seen = (event: AgentEvent, direction: Direction, path: string, peer: string) =>
    isVerdict(event) &&
    event.verdict === "allowed" &&
    event.direction === direction &&
    event.process?.path === path &&
    (direction === "egress" ? event.dst.ip : event.src.ip) === peer;
  const { events } = fixture.agent;
  await events.waitFor("curl to the Service", (event) => seen(event, "egress", CURL, SERVICE), { from: mark });
  const server = (event: AgentEvent) => seen(event, "ingress", PYTHON, place.gateway4);
  await events.waitFor("the server from the node's address", server, { from: mark });
  assert.ok(events.since(mark, isVerdict).every((event) => isVerdict(event) && event.verdict === "allowed"));
});

test("a server that may not be reached from there is not, also by its own pod", async () => {
  const { place, mark, status } = await fetchFrom("closed");
  assert.equal(status, "000");
  const event = await fixture.violation({ reason: "Peer", path: PYTHON, direction: "ingress" }, mark, place);
  assert.equal(event.src.ip, place.gateway4);
});

test("another program does not reach the Service", async () => {
  const evil = fixture.program("evil", CURL);
  const { mark, status } = await fetchFrom("web", evil);
  assert.equal(status, "000");
  await fixture.violation({ reason: "BinaryUnknown", path: evil, direction: "egress" }, mark);
});
