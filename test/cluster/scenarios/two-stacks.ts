/** Pods with an IPv4 and an IPv6 address: rules that name pods are about both, and what is refused is refused by either way. */
import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { productLogs } from "../harness/product/product.ts";
import { container, deployment, type Pod, profile } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";
import { WEB_PORT } from "../harness/workloads/servers.ts";

const REQUEST = "GET / HTTP/1.0\r\n\r\n";
/** Milliseconds: of what is to come, on a busy machine, and of what is not. */
const PATIENCE = "4000";
const IMPATIENCE = "700";
const ANSWERED = 0;
const TIMED_OUT = 3;

export function twoStacks(cluster: Cluster): void {
  describe("two stacks", () => {
    let scene: Scene;
    const l4 = { protocolPorts: [{ protocol: "tcp" as const, port: WEB_PORT }] };
    const podsOf = (app: string) => [{ podSelector: { matchLabels: { app } } }];
    const asks = (from: string, program: string, address: string, patience: string) => {
      const family = isIPv6(address) ? "tcp6" : "tcp4";
      const request = ["timeout", patience, family, "connect", address, String(WEB_PORT), "send", REQUEST, "recv"];
      return scene.exec(scene.pod(from), "web", program, ...request);
    };
    const becomes = (status: number, from: string, program: string, to: string) =>
      Promise.all(
        addressesOf(scene.pod(to)).map((address) =>
          eventually(
            `${program} of ${from} to end with ${status} at ${to}, ${address}`,
            () => asks(from, program, address, IMPATIENCE) === status,
            { timeout: 30_000, describe: () => `${scene.describe("securityprofiles")}\n${productLogs(cluster)}` },
          ),
        ),
      );
    const ends = (status: number, from: string, program: string, to: string) => {
      const patience = status === ANSWERED ? PATIENCE : IMPATIENCE;
      for (const address of addressesOf(scene.pod(to))) {
        const what = `${program} of ${from} to ${to}, ${address}`;
        assert.equal(asks(from, program, address, patience), status, what);
      }
    };

    before(async () => {
      scene = await Scene.make(cluster, "two-stacks");
      const web = [container("web", ["/bin/httpd", "-f", "-p", String(WEB_PORT), "-h", "/srv"])];
      await scene.deploy(
        ...["shop", "stranger"].map((name) => deployment(name, { containers: [container("web")] })),
        ...["database", "other"].map((name) => deployment(name, { containers: web })),
      );
    });
    after(() => scene.end());

    test("without a profile, each pod is reached at both of its addresses", async () => {
      for (const name of ["database", "other"]) await becomes(ANSWERED, "shop", "/bin/app", name);
    });

    test("egress to pods is to either address of these pods, and of no others", async () => {
      scene.apply(profile("shop", [{ path: "/bin/app", network: { egress: { pods: podsOf("database"), l4 } } }]));
      await scene.enforced("shop");
      await becomes(ANSWERED, "shop", "/bin/app", "database");
      ends(TIMED_OUT, "shop", "/bin/other", "database");
      ends(TIMED_OUT, "shop", "/bin/app", "other");
    });

    test("ingress from pods is from either address of these pods, and of no others", async () => {
      const network = { ingress: { pods: podsOf("shop"), l4 } };
      scene.apply(
        profile("database", [
          { path: "/usr/local/bin/pong", network },
          { path: "/bin/busybox", network },
        ]),
      );
      await scene.enforced("database");
      await becomes(ANSWERED, "shop", "/bin/app", "database");
      ends(TIMED_OUT, "stranger", "/bin/app", "database");
    });

    test("a pod that takes the place of another is a peer by its new addresses", async () => {
      const before = addressesOf(scene.pod("database"));
      scene.kubectl("delete", "pod", scene.pod("database").metadata.name, "--wait=true");
      scene.rolledOut("database");
      const now = addressesOf(scene.pod("database"));
      for (const address of now) assert.ok(!before.includes(address), `${address} is another`);
      await becomes(ANSWERED, "shop", "/bin/app", "database");
      ends(TIMED_OUT, "stranger", "/bin/app", "database");
    });
  });
}

/** One of each family. */
function addressesOf({ metadata, status }: Pod): string[] {
  const addresses = status.podIPs.map(({ ip }) => ip);
  assert.deepEqual(addresses.map((address) => isIPv6(address)).sort(), [false, true], metadata.name);
  return addresses;
}
