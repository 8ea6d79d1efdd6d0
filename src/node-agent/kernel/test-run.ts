/** Runs of TC programs on packets that come from no network: BPF_PROG_TEST_RUN. */
import { testRun } from "../ffi/programs.ts";

/** Fields of `struct __sk_buff` that the kernel lets a test run set. */
export interface PacketContext {
  /** Interface the packet is on, in this thread's network namespace; 0 for the loopback device. */
  ifindex?: number;
  ingressIfindex?: number;
  mark?: number;
  priority?: number;
  cb?: [number, number, number, number, number];
  /** Of a packet that stands for several: into how many, and into how many bytes of payload each. */
  gsoSegments?: number;
  gsoSize?: number;
}

/** sizeof(struct __sk_buff) and its offsets: linux/bpf.h. */
const SK_BUFF_SIZE = 192;
const OFFSET = { mark: 8, priority: 32, ingressIfindex: 36, ifindex: 40, cb: 48, gsoSegments: 164, gsoSize: 176 };
const CB_WORDS = 5;

export interface TestRunOptions {
  context?: PacketContext;
  /** Times to run on the same packet; 1 unless given. */
  repeat?: number;
}

export interface TestRunResult {
  /** What the program returned, e.g. 2 (TC_ACT_SHOT), -1 (TC_ACT_UNSPEC). */
  returnValue: number;
  /** The packet afterwards. */
  packet: Buffer;
  /** Mean time of a run, ns. */
  duration: number;
  mark: number;
  cb: number[];
}

/** Room for what a program adds to a packet. */
const HEADROOM = 256;

/**
 * Runs a TC program on a packet.
 *
 * @param fd of the program
 * @param packet from the Ethernet header on; the kernel wants at least that header, 14 bytes
 * @throws KernelError
 */
export function runOnPacket(fd: number, packet: Uint8Array, options: TestRunOptions = {}): TestRunResult {
  const context = encodeContext(options.context ?? {});
  const output = testRun(fd, {
    data: packet,
    context,
    repeat: options.repeat ?? 1,
    outputSize: packet.length + HEADROOM,
  });
  const after = output.context ?? context;
  return {
    returnValue: output.returnValue | 0,
    packet: output.data,
    duration: output.duration,
    mark: after.readUInt32LE(OFFSET.mark),
    cb: Array.from({ length: CB_WORDS }, (_, n) => after.readUInt32LE(OFFSET.cb + 4 * n)),
  };
}

function encodeContext(context: PacketContext): Buffer {
  const buffer = Buffer.alloc(SK_BUFF_SIZE);
  buffer.writeUInt32LE(context.mark ?? 0, OFFSET.mark);
  buffer.writeUInt32LE(context.priority ?? 0, OFFSET.priority);
  buffer.writeUInt32LE(context.ingressIfindex ?? 0, OFFSET.ingressIfindex);
  buffer.writeUInt32LE(context.ifindex ?? 0, OFFSET.ifindex);
  buffer.writeUInt32LE(context.gsoSegments ?? 0, OFFSET.gsoSegments);
  buffer.writeUInt32LE(context.gsoSize ?? 0, OFFSET.gsoSize);
  context.cb?.forEach((word, n) => {
    buffer.writeUInt32LE(word, OFFSET.cb + 4 * n);
  });
  return buffer;
}
