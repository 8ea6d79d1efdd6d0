/** A program that does nothing, where Portcullis has its classifiers: what it costs to have any. */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { interfaceIndex } from "../../src/node-agent/ffi/libc.ts";
import { inNetworkNamespace } from "../../src/node-agent/ffi/namespaces.ts";
import { BPFFS_PATH, ensureBpffs, ensurePinFolder, removePinFolder } from "../../src/node-agent/kernel/bpffs.ts";
import { attachClassifiers } from "../../src/node-agent/kernel/links/classifiers.ts";
import { BpfObject } from "../../src/node-agent/kernel/objects.ts";
import { BenchError } from "../errors.ts";
import { OBJECTS } from "./agent-process.ts";
import { namespaceFile } from "./network.ts";

export const NOOP_PINS = join(BPFFS_PATH, "pc-bench-noop");

/** Attaches it in both directions of an interface of a namespace. Goes with its pins, or with the interface. */
export function attachNoop(namespace: string, hostInterface: string): Disposable {
  ensureBpffs();
  ensurePinFolder(NOOP_PINS);
  const fd = openSync(namespaceFile(namespace), "r");
  try {
    inNetworkNamespace(fd, () => attachHere(hostInterface));
  } finally {
    closeSync(fd);
  }
  return { [Symbol.dispose]: removeNoop };
}

export function removeNoop(): void {
  removePinFolder(NOOP_PINS);
}

function attachHere(hostInterface: string): void {
  const ifindex = interfaceIndex(hostInterface);
  if (ifindex === null) throw new BenchError(`there is no interface ${hostInterface}`);
  using object = BpfObject.load(join(OBJECTS, "noop.bpf.o"));
  attachClassifiers(NOOP_PINS, ifindex, {
    fromWorkload: object.program("from_workload").fd,
    toWorkload: object.program("to_workload").fd,
  });
}
