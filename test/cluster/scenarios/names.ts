/** The paper's example on pods: ping asks pong for a page by name, and an attacker may do nothing. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { PROJECT, productLogs } from "../harness/product/product.ts";
import { container, deployment, onNode, type Pod, service, spread } from "../harness/workloads/objects.ts";
import { Scene } from "../harness/workloads/scene.ts";

const LISTING = join(PROJECT, "src/api/testdata/listing-1.yaml");
const EXAMPLES = join(PROJECT, "examples");
const MY_APP = "/usr/local/bin/my-app";
/** Of curl: the name was not resolved, and nothing came in time. */
const NOT_RESOLVED = 6;
const TIMED_OUT = 28;
const NAMES = ["pong", "pong.default", "pong.default.svc", "pong.default.svc.cluster.local"];

export function names(cluster: Cluster): void {
  describe("ping, pong and an attacker", () => {
    const scene = Scene.of(cluster, "default");
    const pods = () => scene.pods("ping");

    before(async () => {
      const [first] = cluster.nodes;
      const web = ["/usr/sbin/httpd", "-f", "-p", "80", "-h", "/srv"];
      scene.apply(service("pong", "pong", 80));
      await scene.deploy(
        deployment("ping", { replicas: 2, containers: [container("main")], pod: spread("ping") }),
        deployment("pong", { containers: [container("main", web)], pod: onNode(first?.place.name ?? "") }),
        deployment("attacker", { containers: [container("main")] }),
      );
      cluster.kubectl("delete", "securityprofiles", "--all");
      cluster.apply(readFileSync(LISTING, "utf8"));
      await scene.enforced("ping-profile");
    });

    after(() => {
      scene.kubectl("delete", "securityprofiles", "--all");
      for (const name of ["ping", "pong", "attacker"]) scene.kubectl("delete", "deployment", name);
      scene.kubectl("delete", "service", "pong");
    });

    test("Listing 1 of the paper: the listed program gets its page, on every node", async () => {
      for (const pod of pods()) await answered(scene, pod, MY_APP, NAMES[0] ?? "");
    });

    for (const name of NAMES) {
      test(`a name as people write it: ${name}`, () => {
        for (const pod of pods()) {
          const said = scene.output(pod, "main", MY_APP, "-s", "-m", "4", `http://${name}/`);
          assert.equal(said, "pong\n", `${pod.metadata.name}\n${productLogs(cluster)}`);
        }
      });
    }

    test("another name is not resolved, another program neither resolves nor connects", () => {
      const [pod] = pods();
      assert.ok(pod);
      const address = scene.pod("pong").status.podIP;
      assert.equal(get(scene, pod, MY_APP, "kube-dns.kube-system.svc.cluster.local"), TIMED_OUT);
      assert.notEqual(get(scene, pod, "/usr/bin/curl", "pong"), 0);
      assert.equal(get(scene, pod, "/usr/bin/curl", address), TIMED_OUT);
      assert.notEqual(scene.exec(pod, "main", "/bin/sh", "-c", "wget -T 1 -O - http://pong/"), 0);
    });

    test("the examples: pong answers ping, and begins nothing", async () => {
      for (const name of ["ping", "pong", "attacker"])
        cluster.apply(readFileSync(join(EXAMPLES, `${name}.yaml`), "utf8"));
      for (const name of ["ping", "pong", "attacker"]) await scene.enforced(`${name}-profile`);
      for (const pod of pods()) await answered(scene, pod, MY_APP, "pong");
      const [ping] = pods();
      assert.ok(ping);
      assert.equal(get(scene, scene.pod("pong"), "/usr/bin/curl", ping.status.podIP), TIMED_OUT);
    });

    test("the resolver is listed as what it is, and the cluster's DNS Service is meant", async () => {
      const ping = readFileSync(join(EXAMPLES, "ping.yaml"), "utf8");
      const [pod] = pods();
      assert.ok(pod);
      const resolver = / {10}cidr4:\n.*# the resolver\n/;
      assert.match(ping, resolver);
      cluster.apply(ping.replace(resolver, ""));
      await eventually("names not to be resolved without it", () => get(scene, pod, MY_APP, "pong") !== 0);
      cluster.apply(ping.replace(resolver, "          peers: [resolver]\n"));
      for (const each of pods()) await answered(scene, each, MY_APP, "pong");
      const misspelled = ping.replace(resolver, "          peers: [resolvers]\n");
      assert.throws(() => cluster.apply(misspelled), /peers\[0\].*resolver/s);
      cluster.apply(ping);
    });

    test("the attacker does nothing, and is reported", async () => {
      const attacker = scene.pod("attacker");
      const address = scene.pod("pong").status.podIP;
      assert.equal(get(scene, attacker, "/usr/bin/curl", address), TIMED_OUT);
      assert.equal(get(scene, attacker, MY_APP, address), TIMED_OUT);
      assert.ok([NOT_RESOLVED, TIMED_OUT].includes(get(scene, attacker, MY_APP, "pong")));
      await scene.shows("attacker-profile", "what was dropped", (columns) => Number(columns[6]) > 0);
    });
  });
}

function get(scene: Scene, pod: Pod, program: string, host: string): number {
  return scene.exec(pod, "main", program, "-s", "-o", "/dev/null", "-m", "2", `http://${host}/`);
}

/** The status of a profile of a while ago may still be the one that is read. */
async function answered(scene: Scene, pod: Pod, program: string, host: string): Promise<void> {
  await eventually(`${host} to answer ${pod.metadata.name}`, () => get(scene, pod, program, host) === 0, {
    timeout: 20_000,
    describe: () => productLogs(scene.cluster),
  });
}
