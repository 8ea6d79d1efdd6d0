/**
 * Pods as a kubelet and a runtime make them: a network namespace connected by CNI's bridge, a sandbox that holds it, and
 * containers that join, in cgroups named as one or the other names them.
 */
import { execFileSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PodFacts } from "../../../src/node-agent/discovery/pods/pod-facts.ts";
import type { RunningProcess } from "../../e2e/harness/processes.ts";
import { CNI_PLUGINS, type Containerd, type ContainerOptions } from "./containerd.ts";

const SUBNET = "10.88.200.0/24";

/** How runtimes and kubelets name a container's cgroup, below the root of the pods'. */
const CGROUPS = {
  "containerd, cgroupfs": (uid: string, id: string) => `burstable/pod${uid}/${id}`,
  "CRI-O, systemd": (uid: string, id: string) => `${slice("burstable", uid)}/crio-${id}.scope`,
  "Docker, systemd": (uid: string, id: string) => `${slice("besteffort", uid)}/docker-${id}.scope`,
} as const;

export type CgroupStyle = keyof typeof CGROUPS;

function slice(quality: string, uid: string): string {
  return `kubepods.slice/kubepods-${quality}.slice/kubepods-${quality}-pod${uid.replaceAll("-", "_")}.slice`;
}

export interface PodPlace {
  /** Of the fixture: cgroups and namespaces begin with it. */
  fixture: string;
  folder: string;
  /** Network namespace of the node. */
  node: string;
  containerd: Containerd;
  image: string;
  cgroups: CgroupStyle;
}

export class TestPod {
  readonly uid = randomUUID();
  readonly name: string;
  readonly #place: PodPlace;
  readonly #netns: string;
  readonly #containers = new Map<string, string>();
  readonly #sandbox = containerId();

  constructor(name: string, place: PodPlace) {
    this.name = name;
    this.#place = place;
    this.#netns = `${place.fixture}-${name}`;
  }

  /** The sandbox, in a runtime's order: a namespace, its veth, and only then a process that holds it. */
  startSandbox(): void {
    execFileSync("ip", ["netns", "add", this.#netns]);
    this.#cni("ADD");
    this.#run(this.#sandbox, ["/bin/busybox", "sleep", "3600"], {});
  }

  /** What the API server would tell of it. */
  facts(labels: Readonly<Record<string, string>>): PodFacts {
    // Before the kubelet has reported a container's id, as in its first second.
    const containers = ["web", "sidecar"].map((name) => ({ name, id: "" }));
    return { uid: this.uid, namespace: "default", name: this.name, labels, containers, hostNetwork: false };
  }

  /** Starts a container. Without a command it does nothing, until something is executed in it. */
  start(name: string, ...command: string[]): void {
    const id = containerId();
    this.#containers.set(name, id);
    this.#run(id, command.length === 0 ? ["/bin/busybox", "sleep", "3600"] : command, {
      [this.#terminationLog(name)]: "/dev/termination-log",
    });
  }

  /** Starts a container that does nothing, with files of the machine's in places of its own. @param mounts source -> target */
  startMounted(name: string, mounts: Readonly<Record<string, string>>): void {
    const id = containerId();
    this.#containers.set(name, id);
    this.#run(id, ["/bin/busybox", "sleep", "3600"], {
      [this.#terminationLog(name)]: "/dev/termination-log",
      ...mounts,
    });
  }

  /** As a kubelet restarts it: in the same pod, with another root. @param image by default the pod's own */
  restart(name: string, image?: string): void {
    const before = this.#containers.get(name);
    if (before !== undefined) this.#place.containerd.remove(before);
    const id = containerId();
    this.#containers.set(name, id);
    this.#run(
      id,
      ["/bin/busybox", "sleep", "3600"],
      { [this.#terminationLog(name)]: "/dev/termination-log" },
      image === undefined ? {} : { image },
    );
  }

  /** Starts a container that does nothing, whose root is no overlay but a copy of the image's files. */
  startCopied(name: string): void {
    const id = containerId();
    this.#containers.set(name, id);
    const mounts = { [this.#terminationLog(name)]: "/dev/termination-log" };
    this.#run(id, ["/bin/busybox", "sleep", "3600"], mounts, { snapshotter: "native" });
  }

  exec(container: string, ...command: string[]): RunningProcess {
    const id = this.#containers.get(container);
    if (id === undefined) throw new Error(`pod ${this.name} has no container ${container}`);
    return this.#place.containerd.exec(id, ...command);
  }

  /** As a kubelet deletes it: containers, sandbox, network. */
  remove(): void {
    for (const id of [...this.#containers.values(), this.#sandbox]) this.#place.containerd.remove(id);
    this.#cni("DEL");
    execFileSync("ip", ["netns", "delete", this.#netns]);
  }

  get #netnsPath(): string {
    return `/run/netns/${this.#netns}`;
  }

  #run(
    id: string,
    command: readonly string[],
    mounts: Record<string, string>,
    made: Pick<ContainerOptions, "snapshotter"> & { image?: string } = {},
  ): void {
    const { containerd, image, fixture, cgroups } = this.#place;
    const cgroup = `/${fixture}/kubepods/${CGROUPS[cgroups](this.uid, id)}`;
    containerd.run({ id, image, cgroup, netns: this.#netnsPath, command, mounts, ...made });
  }

  /** The file that a kubelet makes for each container, and mounts into it. */
  #terminationLog(container: string): string {
    const folder = join(this.#place.folder, "pods", this.uid, "containers", container);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, randomBytes(4).toString("hex"));
    writeFileSync(file, "");
    return file;
  }

  /** Calls the plugin as a runtime does (https://www.cni.dev/docs/spec/). */
  #cni(command: "ADD" | "DEL"): void {
    const { folder, node } = this.#place;
    const configuration = {
      cniVersion: "1.0.0",
      name: "pods",
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: SUBNET }]],
        routes: [{ dst: "0.0.0.0/0" }],
        dataDir: join(folder, "ipam"),
      },
    };
    execFileSync("nsenter", [`--net=/run/netns/${node}`, "--", join(CNI_PLUGINS, "bridge")], {
      input: JSON.stringify(configuration),
      env: {
        ...process.env,
        CNI_COMMAND: command,
        CNI_CONTAINERID: this.#sandbox,
        CNI_NETNS: this.#netnsPath,
        CNI_IFNAME: "eth0",
        CNI_PATH: CNI_PLUGINS,
      },
    });
  }
}

function containerId(): string {
  return randomBytes(32).toString("hex");
}
