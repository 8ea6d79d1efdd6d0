import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import pino from "pino";
import { KubeConnection } from "../../kube/connection.ts";
import { uninstall } from "./uninstall.ts";

const LOG = pino({ level: "silent" });
const PODS = "/api/v1/namespaces/portcullis-system/pods";
const PATH = "/apis/apps/v1/namespaces/portcullis-system/daemonsets/portcullis-agent";

/** An API server with one DaemonSet, whose pods follow each look a little. */
class OneDaemonSet {
  // biome-ignore lint/suspicious/noExplicitAny: a patch is whatever was sent
  patch: any = null;
  looks = 0;
  stuck = false;
  /** Since when the agent's pod of the second node is to end. */
  endingSince: string | null = null;
  readonly #server = createServer((request, response) => {
    if (request.url === PODS) return response.writeHead(200).end(JSON.stringify({ items: this.#pods() }));
    if (request.url !== PATH) return response.writeHead(404).end(JSON.stringify({ kind: "Status", code: 404 }));
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.method === "PATCH") this.patch = JSON.parse(Buffer.concat(chunks).toString());
      else this.looks += 1;
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(this.#object()));
    });
    return undefined;
  });

  async listen(): Promise<string> {
    await new Promise<void>((settle) => this.#server.listen(0, "127.0.0.1", settle));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #pods() {
    if (this.endingSince === null) return [];
    const ownerReferences = [{ kind: "DaemonSet", name: "portcullis-agent" }];
    return [{ metadata: { deletionTimestamp: this.endingSince, ownerReferences }, spec: { nodeName: "n2" } }];
  }

  #object() {
    const done = this.stuck || this.looks < 3 ? 1 : 2;
    const container = {
      name: "agent",
      image: "portcullis:1",
      args: ["agent"],
      readinessProbe: {},
      volumeMounts: [{ name: "bpf" }],
    };
    return {
      metadata: { generation: this.patch === null ? 1 : 2 },
      spec: { template: { spec: { containers: [container] } } },
      status: {
        observedGeneration: 2,
        desiredNumberScheduled: 2,
        updatedNumberScheduled: done,
        numberAvailable: done,
      },
    };
  }
}

const server = new OneDaemonSet();
const connection = KubeConnection.plain(await server.listen());
after(() => {
  connection.close();
  server.close();
});

const options = { namespace: "portcullis-system", daemonset: "portcullis-agent", timeout: 5_000 };

test("agents become pods that detach before they start, and all of them are waited for", async () => {
  await uninstall(connection, options, LOG);
  const { initContainers, containers } = server.patch.spec.template.spec;
  assert.deepEqual(initContainers[0].args, ["detach", "--all"]);
  assert.deepEqual([initContainers[0].image, initContainers[0].volumeMounts], ["portcullis:1", [{ name: "bpf" }]]);
  assert.equal("readinessProbe" in initContainers[0], false);
  assert.deepEqual(containers[0].args, ["detach", "--all", "--stay"]);
  assert.ok(server.looks >= 3);
});

test("nodes that do not follow are reported", async () => {
  server.stuck = true;
  await assert.rejects(uninstall(connection, { ...options, timeout: 1 }, LOG), /1 of 2 nodes have not/);
});

test("a node that is away is named, and not waited for; one that is slow is", async () => {
  server.stuck = true;
  server.endingSince = new Date(Date.now() - 5_000).toISOString();
  await assert.rejects(uninstall(connection, { ...options, timeout: 1 }, LOG), /1 of 2 nodes have not/);
  server.endingSince = new Date(Date.now() - 120_000).toISOString();
  const lines: string[] = [];
  await uninstall(connection, options, pino({}, { write: (line: string) => lines.push(line) }));
  assert.match(lines.join(""), /"nodes":\["n2"\].*These do not/);
});

test("where there are no agents there is nothing to take off", async () => {
  await uninstall(connection, { ...options, daemonset: "other" }, LOG);
});
