/**
 * What this node offers, found by trying: no version is compared anywhere. A feature's probe loads, creates or attaches
 * the smallest thing of its kind and takes it away again.
 */

import { libbpfVersion } from "../../ffi/libbpf-library.ts";
import { assertPlatform } from "../../ffi/library.ts";
import { type Finding, found, supported, unknown } from "./finding.ts";
import { probeKernelReads, probeSocketLookup, probeSocketStorage } from "./helpers.ts";
import { probeClsact, probeTcx } from "./interfaces.ts";
import { probeBatches, probeLongestPrefixMaps, probeLruMaps, probeRingBuffer } from "./maps.ts";
import {
  probeBpffs,
  probeCapabilities,
  probeCgroupMount,
  probeJit,
  probeKernelBtf,
  probeLockdown,
  probeVethCrossing,
} from "./node.ts";
import {
  probeCgroupHooks,
  probeClassifierPrograms,
  probeFunctionTracing,
  probeGate,
  probeIterators,
  probeKprobes,
  probeLsm,
  probeRawTracepoints,
  probeSocketIterators,
  probeTypedTracepoints,
} from "./programs.ts";

export interface FeatureReport extends Finding {
  /** Stable, for programs that read the report. */
  feature: string;
  /** Whether it is known to be supported. */
  available: boolean;
  /** Whether nothing can be enforced without it. */
  required: boolean;
  /** What is lost without it. */
  consequence: string;
}

interface Probe {
  feature: string;
  required: boolean;
  consequence: string;
  find: () => Finding;
  /** Can be tried without privileges; the others are not, because every answer would be the same refusal. */
  unprivileged?: true;
}

const NOTHING_WORKS = "nothing can be enforced on this node";

const PROBES: readonly Probe[] = [
  { feature: "platform", required: true, consequence: NOTHING_WORKS, find: probePlatform, unprivileged: true },
  { feature: "libbpf", required: true, consequence: NOTHING_WORKS, find: probeLibbpf, unprivileged: true },
  { feature: "capabilities", required: true, consequence: NOTHING_WORKS, find: probeCapabilities, unprivileged: true },
  {
    feature: "btf",
    required: true,
    consequence: "programs cannot be fitted to this kernel, so none can be loaded",
    find: probeKernelBtf,
    unprivileged: true,
  },
  { feature: "classifiers", required: true, consequence: NOTHING_WORKS, find: probeClassifierPrograms },
  {
    feature: "tcx",
    required: false,
    consequence: "classifiers are attached as clsact filters, which costs each packet a little more",
    find: probeTcx,
  },
  {
    feature: "clsact",
    required: false,
    consequence: "classifiers can be attached by TCX only",
    find: probeClsact,
  },
  {
    feature: "socket-storage",
    required: true,
    consequence: "packets cannot be tied to processes",
    find: probeSocketStorage,
  },
  {
    feature: "socket-lookup",
    required: true,
    consequence: "what comes in cannot be tied to the process that it is for",
    find: probeSocketLookup,
  },
  {
    feature: "cgroup-mount",
    required: true,
    consequence: "sockets cannot be tied to processes",
    find: probeCgroupMount,
    unprivileged: true,
  },
  {
    feature: "cgroup-hooks",
    required: true,
    consequence: "sockets cannot be tied to processes",
    find: probeCgroupHooks,
  },
  {
    feature: "gate",
    required: false,
    consequence:
      "what a process sends from the first instant of its network namespace may get out before it is guarded",
    find: probeGate,
  },
  {
    feature: "raw-tracepoints",
    required: true,
    consequence: "it is not known which executable a process runs",
    find: probeRawTracepoints,
  },
  {
    feature: "kernel-reads",
    required: true,
    consequence: "it is not known which executable a process runs",
    find: probeKernelReads,
  },
  {
    feature: "typed-tracepoints",
    required: false,
    consequence: "a connected socket that is handed to another process is judged by the one that connected it",
    find: probeTypedTracepoints,
  },
  {
    feature: "iterators",
    required: false,
    consequence: "processes and sockets older than the agent are unknown: restart the workloads after it",
    find: probeIterators,
  },
  {
    feature: "socket-iterators",
    required: false,
    consequence:
      "sockets older than the agent are found through /proc, but for those of processes whose first thread has ended",
    find: probeSocketIterators,
  },
  { feature: "ring-buffer", required: true, consequence: "the programs cannot be loaded", find: probeRingBuffer },
  {
    feature: "longest-prefix-maps",
    required: true,
    consequence: "the programs cannot be loaded",
    find: probeLongestPrefixMaps,
  },
  { feature: "lru-maps", required: true, consequence: "the programs cannot be loaded", find: probeLruMaps },
  {
    feature: "map-batches",
    required: false,
    consequence: "large rule tables take longer to write",
    find: probeBatches,
  },
  {
    feature: "bpf-file-system",
    required: true,
    consequence: "enforcement would end with the agent",
    find: probeBpffs,
    unprivileged: true,
  },
  {
    feature: "jit",
    required: false,
    consequence: "each packet takes several times longer to judge",
    find: probeJit,
    unprivileged: true,
  },
  {
    feature: "lockdown",
    required: false,
    consequence: "see kernel-reads, which says whether it matters",
    find: probeLockdown,
    unprivileged: true,
  },
  {
    feature: "kprobes",
    required: false,
    consequence:
      "without function-tracing too: veth pairs and socket owners have one source each, and not two that agree",
    find: probeKprobes,
  },
  {
    feature: "function-tracing",
    required: false,
    consequence: "kprobes do its work where there are any, at more cost",
    find: probeFunctionTracing,
  },
  {
    feature: "veth-crossing",
    required: false,
    consequence: "what such a program puts into pods is not judged, and the answers to DNS questions teach no names",
    find: probeVethCrossing,
  },
  {
    feature: "lsm",
    required: false,
    consequence: "function-tracing, or tracepoints after the fact, show who sends on a connected socket",
    find: probeLsm,
  },
];

function probePlatform(): Finding {
  assertPlatform();
  return supported(`Linux on ${process.arch}`);
}

function probeLibbpf(): Finding {
  return supported(libbpfVersion());
}

let reports: FeatureReport[] | null = null;

/** All features, probed once per process. */
export function probeFeatures(): readonly FeatureReport[] {
  reports ??= requireAnAttachment(PROBES.map(runProbe(isPrivileged())));
  return reports;
}

/** One of them, by name. */
export function hasFeature(feature: string): boolean {
  return probeFeatures().some((report) => report.feature === feature && report.available);
}

/** Whether everything is there without which nothing can be enforced. */
export function canEnforce(features: readonly FeatureReport[]): boolean {
  return features.every(({ required, available }) => available || !required);
}

function isPrivileged(): boolean {
  return found(probeCapabilities).state === "supported";
}

function runProbe(privileged: boolean): (probe: Probe) => FeatureReport {
  return ({ find, unprivileged, ...about }) => {
    const isTried = privileged || unprivileged === true;
    const finding = isTried ? found(find) : unknown("not tried: run as root");
    return { ...about, available: finding.state === "supported", ...finding };
  };
}

/** One of TCX and clsact has to be there; which one does not matter. */
function requireAnAttachment(found: FeatureReport[]): FeatureReport[] {
  const ways = found.filter(({ feature }) => feature === "tcx" || feature === "clsact");
  if (ways.some(({ available }) => available)) return found;
  return found.map((report) =>
    ways.includes(report) ? { ...report, required: true, consequence: NOTHING_WORKS } : report,
  );
}
