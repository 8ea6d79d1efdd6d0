/**
 * The classifier and the receivers' program on a veth of their own, with real sockets in a network namespace, and a tap that
 * sees each frame before it is judged. Whose a socket is, is written into its storage: no process has to be started for it.
 */
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EPOCHS, ProcessFlag, SocketFlag, type SocketOwner } from "../../src/gen/abi.gen.ts";
import { closeFd, interfaceIndex } from "../../src/node-agent/ffi/libc.ts";
import { inNetworkNamespace } from "../../src/node-agent/ffi/namespaces.ts";
import { attachClassifiers, detachClassifiers } from "../../src/node-agent/kernel/links/classifiers.ts";
import { attach, type BpfLink } from "../../src/node-agent/kernel/links/links.ts";
import { BpfObject } from "../../src/node-agent/kernel/objects.ts";
import { type Maps, openMap } from "../../src/node-agent/kernel/typed-maps.ts";
import { HOST_MAC, WORKLOAD_MAC } from "../packets/ethernet.ts";
import { ClassifierHarness, MAP_SIZES, type ProcessRef } from "./classifier-harness.ts";
import { AF, bindTo, linkAddress, OPTION, openSocket, receiveFrom, SOCK, sendTo, setOption } from "./native-sockets.ts";

const ROOT = join(import.meta.dirname, "../..");
const NAMESPACES = "/run/netns";
const PREFIX = "pc-live-";
const INSIDE = "eth0";
const OUTSIDE = "w0";
/** Of the workload's namespace, in the node's. */
const NSID = 1;
const OFFLOADS = ["tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"];
/** struct virtio_net_hdr: it says into how many a frame will be cut. */
const OFFLOAD_HEADER = 10;
const FRAME_MAX = 70_000;
/** Numbers of processes that cannot be: beyond those that a kernel gives. */
const FIRST_TGID = 0x7000_0001;
/** Of who wrote what is still to leave: of a stream, and of datagrams, in ns. */
const NOT_YET = 0x7fff_ffff_ffff_ffffn;

export interface LiveRigOptions {
  name: string;
  addresses: readonly string[];
  /** Where frames that leave go to, and the neighbours that come with it. */
  gateway4: string;
  gateway6: string;
}

export interface CapturedFrame {
  frame: Buffer;
  /** 0 where it is not cut any more. */
  gsoSize: number;
}

export interface Owners {
  creator: ProcessRef;
  user: ProcessRef;
  /** Who used it before, if what he wrote is still to leave. */
  former?: ProcessRef | undefined;
}

export class LiveHarness implements Disposable {
  readonly harness: ClassifierHarness;
  readonly insideIfindex: number;
  readonly #objects: BpfObject[] = [];
  readonly #links: BpfLink[] = [];
  readonly #node: number;
  readonly #workload: number;
  readonly #netnsInum: number;
  readonly #hostIfindex: number;
  readonly #tap: number;
  readonly #buffer = Buffer.alloc(FRAME_MAX + OFFLOAD_HEADER);
  readonly #owners: Maps["socketOwners"];
  readonly #epochs: Maps["namespaceEpochs"];
  readonly #name: string;
  readonly #tgids = new Map<string, number>();
  #hasCookies = false;
  #hasOffload = true;

  constructor({ name, ...network }: LiveRigOptions) {
    removeLeftovers();
    this.#name = `${PREFIX}${process.pid}-${name}`;
    makeNetwork(this.#name, network);
    this.#node = openSync(join(NAMESPACES, `${this.#name}-node`), "r");
    const workload = join(NAMESPACES, `${this.#name}-workload`);
    this.#workload = openSync(workload, "r");
    this.#netnsInum = statSync(workload).ino;
    this.#hostIfindex = inNetworkNamespace(this.#node, () => interfaceIndex(OUTSIDE)) as number;
    this.insideIfindex = inNetworkNamespace(this.#workload, () => interfaceIndex(INSIDE)) as number;
    const place = { netnsInum: this.#netnsInum, nsid: NSID, hostIfindex: this.#hostIfindex };
    this.harness = new ClassifierHarness({ name: `live-${name}`, place });
    this.harness.become({ addresses: [...network.addresses] });
    this.#attach();
    this.#owners = openMap(this.harness.pinRoot, "socketOwners");
    this.#epochs = openMap(this.harness.pinRoot, "namespaceEpochs");
    this.#tap = inNetworkNamespace(this.#node, () => openTap(this.#hostIfindex));
  }

  [Symbol.dispose](): void {
    closeFd(this.#tap);
    for (const link of this.#links) link.close();
    inNetworkNamespace(this.#node, () => detachClassifiers(this.harness.pinRoot, this.#hostIfindex));
    for (const map of [this.#owners, this.#epochs]) map.close();
    for (const object of this.#objects) object.close();
    this.harness[Symbol.dispose]();
    for (const fd of [this.#node, this.#workload]) closeSync(fd);
    removeNetwork(this.#name);
  }

  /** Runs `work` inside the workload: what it opens is the workload's. */
  inside<T>(work: () => T): T {
    return inNetworkNamespace(this.#workload, work);
  }

  /** Says whose a socket is from now on. */
  own(fd: number, { creator, user, former }: Owners): void {
    const flags = (this.#owners.get(fd)?.flags ?? 0) & SocketFlag.ACCEPTED;
    const owner: SocketOwner = {
      creator: this.#actor(creator),
      user: this.#actor(user),
      former: this.#actor(former ?? user),
      formerUntil: former === undefined ? 0n : NOT_YET,
      epoch: 0n,
      connected: 0n,
      netnsCookie: 0n,
      flags,
      netnsInum: this.#netnsInum,
    };
    this.#owners.set(fd, owner);
  }

  /** Runs `work`, in which this process begins to listen, without being asked who it is. */
  unasked(work: () => void): void {
    const { namespaces } = this.harness.maps;
    const instance = namespaces.get(this.#netnsInum);
    namespaces.delete(this.#netnsInum);
    work();
    if (instance !== undefined) namespaces.set(this.#netnsInum, instance);
  }

  /** What rests on whose the workload's sockets are is judged anew. */
  startEpoch(): void {
    const index = this.#netnsInum % EPOCHS;
    this.#epochs.set(index, (this.#epochs.get(index) ?? 0n) + 1n);
  }

  /** Whether the workload's kernel answers every SYN with a cookie. */
  setCookies(on: boolean): void {
    if (this.#hasCookies === on) return;
    this.#hasCookies = on;
    this.inside(() => writeFileSync("/proc/sys/net/ipv4/tcp_syncookies", on ? "2" : "1"));
  }

  /** Whether the workload's device cuts up what is too long for the wire, or its kernel has to. */
  setOffload(on: boolean): void {
    if (this.#hasOffload === on) return;
    this.#hasOffload = on;
    const features = OFFLOADS.flatMap((feature) => [feature, on ? "on" : "off"]);
    this.inside(() => execFileSync("ethtool", ["-K", INSIDE, ...features], { stdio: "ignore" }));
  }

  /** Puts a frame on the wire to the workload. */
  deliver(frame: Uint8Array): void {
    sendTo(this.#tap, Buffer.concat([Buffer.alloc(OFFLOAD_HEADER), frame]), null);
  }

  /** What has come from the workload since the last call, as it was before it was judged. */
  captured(): CapturedFrame[] {
    const frames: CapturedFrame[] = [];
    for (;;) {
      const bytes = receiveFrom(this.#tap, this.#buffer);
      if (bytes === null) return frames;
      const gsoSize = bytes[1] === 0 ? 0 : bytes.readUInt16LE(4);
      frames.push({ frame: Buffer.from(bytes.subarray(OFFLOAD_HEADER)), gsoSize });
    }
  }

  #attach(): void {
    const { egress, ingress } = this.harness.programs;
    inNetworkNamespace(this.#node, () =>
      attachClassifiers(this.harness.pinRoot, this.#hostIfindex, { fromWorkload: egress, toWorkload: ingress }),
    );
    this.#links.push(attach(this.#load("receivers").program("receiver")));
    // It tells a listener's children from other sockets.
    this.#links.push(attach(this.#load("sockets").program("socket_changes")));
  }

  #load(name: string): BpfObject {
    const path = `build/bpf/${name}.bpf.o`;
    execFileSync("make", ["-s", path], { cwd: ROOT });
    const object = BpfObject.load(join(ROOT, path), { pinRoot: this.harness.pinRoot, maxEntries: MAP_SIZES });
    this.#objects.push(object);
    return object;
  }

  #actor(process: ProcessRef): SocketOwner["user"] {
    const { path, modified } = process;
    const key = `${path} ${modified}`;
    const tgid = this.#tgids.get(key) ?? FIRST_TGID + this.#tgids.size;
    this.#tgids.set(key, tgid);
    return {
      startTime: BigInt(tgid),
      cgroupId: 0n,
      tgid,
      pathId: this.harness.pathId({ path }),
      scriptId: 0,
      flags: modified ? ProcessFlag.MODIFIED : 0,
      lineage: tgid,
      ancestry: 0,
      kuid: 0,
      uid: 0,
    };
  }
}

/** It sends too. What it sends itself it does not see. */
function openTap(ifindex: number): number {
  const tap = openSocket(AF.packet, SOCK.raw, 0);
  setOption(tap, OPTION.vnetHeader, 1);
  setOption(tap, OPTION.ignoreOutgoing, 1);
  bindTo(tap, linkAddress(ifindex, HOST_MAC));
  return tap;
}

function makeNetwork(name: string, { addresses, gateway4, gateway6 }: Omit<LiveRigOptions, "name">): void {
  const [node, workload] = [`${name}-node`, `${name}-workload`];
  for (const namespace of [node, workload]) execFileSync("ip", ["netns", "add", namespace]);
  configure(node, { "ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1, "ipv4/ip_forward": 0 });
  configure(workload, {
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/default/accept_ra": 0,
    "ipv6/conf/default/addr_gen_mode": 1,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    // What it refuses it says each time.
    "ipv4/icmp_ratemask": 0,
    "ipv6/icmp/ratelimit": 0,
  });
  ip(node, [
    `netns set ${workload} ${NSID}`,
    `link add ${OUTSIDE} address ${HOST_MAC} type veth peer name ${INSIDE} address ${WORKLOAD_MAC} netns ${workload}`,
    `link set ${OUTSIDE} up`,
  ]);
  ip(workload, [
    "link set lo up",
    `link set ${INSIDE} up`,
    ...addresses.map((address) => `address add ${address}/${address.includes(":") ? "64 nodad" : 24} dev ${INSIDE}`),
    ...[gateway4, gateway6].map((gateway) => `neighbour add ${gateway} lladdr ${HOST_MAC} nud permanent dev ${INSIDE}`),
    `route add default via ${gateway4}`,
    `route add ::/0 via ${gateway6}`,
  ]);
}

function configure(namespace: string, settings: Record<string, number>): void {
  const script = Object.entries(settings).map(([key, value]) => `echo ${value} > /proc/sys/net/${key}`);
  execFileSync("ip", ["netns", "exec", namespace, "sh", "-ec", script.join("; ")]);
}

function ip(namespace: string, commands: string[]): void {
  execFileSync("ip", ["-n", namespace, "-batch", "-"], { input: `${commands.join("\n")}\n`, encoding: "utf8" });
}

function removeNetwork(name: string): void {
  for (const end of ["node", "workload"]) execFileSync("ip", ["netns", "delete", `${name}-${end}`]);
}

/** A run that was killed could not clean up after itself. */
function removeLeftovers(): void {
  const names = existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : [];
  for (const name of names.filter((candidate) => candidate.startsWith(PREFIX))) {
    if (!existsSync(`/proc/${name.split("-")[2]}`)) execFileSync("ip", ["netns", "delete", name]);
  }
}
