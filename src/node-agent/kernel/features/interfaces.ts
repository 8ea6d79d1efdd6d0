/** Probes of the ways to put classifiers on interfaces. */
import { closeSync, openSync } from "node:fs";
import { unshareNetworkNamespace } from "../../ffi/libc.ts";
import { inNetworkNamespace } from "../../ffi/namespaces.ts";
import { attachFilter, createClsact, TC_HOOK } from "../../ffi/traffic-control.ts";
import { RETURN_NEXT } from "../instructions.ts";
import { hasTcx } from "../links/tcx.ts";
import { PROGRAM_TYPE } from "../program-types.ts";
import { kernelProbe, supportedIf } from "./finding.ts";
import { attempt } from "./programs.ts";

export const probeTcx = kernelProbe("6.6", () =>
  supportedIf(hasTcx(), "links on interfaces", "the kernel has no TCX links: it needs CONFIG_NET_XGRESS=y"),
);

/** In a network namespace of its own, on the loopback device there. */
export const probeClsact = kernelProbe("4.5", () => {
  const loopback = 1;
  return attempt({ type: PROGRAM_TYPE.SCHED_CLS, code: RETURN_NEXT }, "see classifiers", (fd) => {
    const home = openSync("/proc/thread-self/ns/net", "r");
    try {
      inNetworkNamespace(home, () => {
        unshareNetworkNamespace();
        createClsact(loopback);
        attachFilter({ ifindex: loopback, hook: TC_HOOK.INGRESS, priority: 1, handle: 1 }, fd);
      });
    } finally {
      closeSync(home);
    }
  });
});
