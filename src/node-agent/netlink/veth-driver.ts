/** The kernel's veth driver, which may be a module that nothing has needed yet. */
import { closeSync, existsSync, openSync } from "node:fs";
import { unshareNetworkNamespace } from "../ffi/libc.ts";
import { inNetworkNamespace } from "../ffi/namespaces.ts";
import { RouteConnection } from "./connection.ts";
import { createVethPair } from "./links.ts";

const OWN_NAMESPACE = "/proc/thread-self/ns/net";

/** Makes sure that there is one: the kernel loads it to make a pair, which goes with a namespace of its own. */
export function ensureVethDriver(): void {
  if (existsSync("/sys/module/veth")) return;
  const home = openSync(OWN_NAMESPACE, "r");
  try {
    inNetworkNamespace(home, () => {
      unshareNetworkNamespace();
      makePair();
    });
  } finally {
    closeSync(home);
  }
}

function makePair(): void {
  const here = openSync(OWN_NAMESPACE, "r");
  try {
    using connection = new RouteConnection();
    createVethPair(connection, { name: "pc-a", peerName: "pc-b", peerNamespaceFd: here });
  } finally {
    closeSync(here);
  }
}
