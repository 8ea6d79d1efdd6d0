/**
 * In place of kube-proxy, and of what a DNS server reads from the API server: `service-proxy.ts KUBECONFIG NODES` keeps the nodes' nftables and
 * the DNS server's file as the Services are. What it knows stays while the API server is away.
 */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KubeConnection } from "../../../../src/kube/connection.ts";
import { Informer } from "../../../../src/kube/informer.ts";
import type { KubeObject, ResourceKind } from "../../../../src/kube/resources.ts";
import { ENDPOINT_SLICES, SERVICES } from "../../../../src/operator/cluster/kinds.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { DNS_FOLDER } from "./dns.ts";
import { nodePlace, routeServices } from "./network.ts";
import { apiService, type EndpointSlice, type Service, serviceNames, serviceRoutes } from "./services.ts";

/** Changes that come together are one. */
const SETTLE_MS = 50;

const [kubeconfig = "", nodes = "1"] = process.argv.slice(2);
const log = createLogger();
const connection = await KubeConnection.load({ kubeconfig, version: "test" });
const places = Array.from({ length: Number(nodes) }, (_, index) => nodePlace(index + 1));
const services = informer<Service>(SERVICES);
const slices = informer<EndpointSlice>(ENDPOINT_SLICES);
let _timer: NodeJS.Timeout | null = null;

function informer<T>(kind: ResourceKind): Informer<T> {
  const copy = new Informer<T>(connection, {
    kind,
    transform: (object: KubeObject) => object as unknown as T,
    log,
    backoff: { initial: 200, maximum: 2_000 },
  });
  copy.subscribe(() => {
    _timer ??= setTimeout(apply, SETTLE_MS);
  });
  copy.start();
  return copy;
}

function apply(): void {
  _timer = null;
  const [first] = places;
  if (first === undefined || !services.isSynced || !slices.isSynced) return;
  const all = [...services.values()];
  const routes = all.flatMap((service) => serviceRoutes(service, [...slices.values()]));
  routeServices(places, [apiService(first), ...routes]);
  const file = join(DNS_FOLDER, "services");
  writeFileSync(`${DNS_FOLDER}.new`, serviceNames(all));
  renameSync(`${DNS_FOLDER}.new`, file);
  log.info({ routes: routes.length }, "routed");
}

await Promise.all([services.whenSynced(), slices.whenSynced()]);
apply();
