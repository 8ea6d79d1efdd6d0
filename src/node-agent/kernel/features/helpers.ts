/** Probes of helper functions, by the kind of program that calls them. Numbers are those of linux/bpf.h. */
import { hasHelper, hasMapType } from "../../ffi/programs.ts";
import { MAP_TYPE } from "../maps.ts";
import { PROGRAM_TYPE } from "../program-types.ts";
import { kernelProbe, supportedIf } from "./finding.ts";

const HELPER = { SK_LOOKUP_UDP: 85, SKC_LOOKUP_TCP: 99, SK_STORAGE_GET: 107, PROBE_READ_KERNEL: 113 } as const;

export const probeSocketStorage = kernelProbe("5.2", () =>
  supportedIf(
    hasMapType(MAP_TYPE.SK_STORAGE) && hasHelper(PROGRAM_TYPE.SCHED_CLS, HELPER.SK_STORAGE_GET),
    "readable by classifiers",
    "classifiers cannot read socket storage",
  ),
);

/** For programs on what the processes of a cgroup send. */
export const probeCgroupSocketStorage = kernelProbe("5.4", () =>
  supportedIf(
    hasHelper(PROGRAM_TYPE.CGROUP_SKB, HELPER.SK_STORAGE_GET),
    "readable by cgroup programs",
    "cgroup programs cannot read socket storage",
  ),
);

export const probeSocketLookup = kernelProbe("5.2", () =>
  supportedIf(
    hasHelper(PROGRAM_TYPE.SCHED_CLS, HELPER.SKC_LOOKUP_TCP) && hasHelper(PROGRAM_TYPE.SCHED_CLS, HELPER.SK_LOOKUP_UDP),
    "TCP and UDP",
    "classifiers cannot look up sockets",
  ),
);

export const probeKernelReads = kernelProbe("5.5", () =>
  supportedIf(
    hasHelper(PROGRAM_TYPE.RAW_TRACEPOINT, HELPER.PROBE_READ_KERNEL),
    "programs may read kernel memory",
    "programs may not read kernel memory: lockdown=confidentiality forbids it, lockdown=integrity does not",
  ),
);
