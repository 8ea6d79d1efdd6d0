/** What the kernel answers is held against the requests that have come in, of which a workload has a share. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ICMP_REQUESTS_SHARE } from "../../src/gen/abi.gen.ts";
import { fullShares } from "../../src/node-agent/enforce/tables/shares.ts";
import { appSpec, PEER, Scene } from "../../test/harness/scene.ts";
import { ping, pong } from "../../test/packets/transport.ts";

const scene = new Scene("answers");
after(() => scene[Symbol.dispose]());

const KERNEL = { kernel: true };

function begin(): void {
  scene.begin({ ...appSpec(null), default: { ingress: { cidr4: ["0.0.0.0/0"], l4: { protocols: ["icmp"] } } } });
}

test("a reply of the kernel repeats a request of the last ten seconds", () => {
  begin();
  assert.equal(scene.out(PEER, pong(1, 1), KERNEL), "Unattributed");
  assert.equal(scene.in(PEER, ping(1, 1)), "Allowed");
  assert.equal(scene.out(PEER, pong(1, 1), KERNEL), "Allowed");
  assert.equal(scene.out(PEER, pong(1, 2), KERNEL), "Unattributed");
  scene.harness.advance(11);
  assert.equal(scene.out(PEER, pong(1, 1), KERNEL), "Unattributed");
});

test("a pod that is pinged for long has lost nothing by it", () => {
  begin();
  for (let sequence = 0; sequence < 2 * ICMP_REQUESTS_SHARE; sequence += 1) {
    assert.equal(scene.in(PEER, ping(1, sequence)), "Allowed");
    assert.equal(scene.out(PEER, pong(1, sequence), KERNEL), "Allowed");
  }
  assert.equal(scene.out(PEER, pong(1, 1), KERNEL), "Unattributed", "the oldest have gone");
  assert.deepEqual([...fullShares(scene.harness.maps.shares)], []);
});
