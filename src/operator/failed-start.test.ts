/** An operator that cannot listen says so and ends, so that it is started again: one that lives on and does nothing would never be. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, test } from "node:test";
import { TestCluster } from "./testing/cluster.ts";
import { OperatorProcess } from "./testing/operator-process.ts";

const occupant = createServer();
let cluster: TestCluster;
before(async () => {
  cluster = await TestCluster.start();
  await once(occupant.listen(0, "127.0.0.1"), "listening");
});
after(async () => {
  occupant.close();
  await cluster.close();
});

for (const option of ["--listen-address", "--observe-address", "--metrics-address", "--probe-address"]) {
  test(`the port of ${option} is taken`, async () => {
    const address = `127.0.0.1:${(occupant.address() as AddressInfo).port}`;
    const refused = new RegExp(`the operator has ended: .*cannot listen on ${address}.*PC_LISTEN`, "s");
    await assert.rejects(OperatorProcess.start(cluster, `${option}=${address}`), { message: refused });
  });
}
