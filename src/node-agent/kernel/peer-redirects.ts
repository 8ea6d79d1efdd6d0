/**
 * Programs of others that put packets into pods past the node's end of their veths, where nothing of ours sees them: Cilium's eBPF
 * host routing and Calico's eBPF data plane do so, by the helper bpf_redirect_peer (Linux 5.10).
 */
import { openProgram, programIds, programInstructions } from "../ffi/bpf.ts";
import { closeFd } from "../ffi/libc.ts";
import { loadProgram } from "../ffi/programs.ts";
import { calledHelpers, REDIRECT_TO_PEER } from "./instructions.ts";
import { programInfo } from "./program-info.ts";
import { PROGRAM_TYPE } from "./program-types.ts";

const INSTRUCTION_SIZE = 8;

export interface PeerRedirect {
  id: number;
  /** At most 15 bytes: the kernel cuts longer names. */
  name: string;
}

/** A program that calls the helper, as the kernel shows it: where the helper is differs from one start of a kernel to the next. */
interface Example {
  /** The helper's place; null where the kernel hides it (kernel.kptr_restrict, no CAP_SYSLOG). */
  place: number | null;
  code: Buffer;
}

export class PeerRedirects {
  #example: Example | null = null;
  /** Programs that have been looked at, which never change; their ids are not used again. Null: none of those that are looked for. */
  readonly #known = new Map<number, PeerRedirect | null>();

  /**
   * Which of the loaded programs do so.
   * @returns null if the kernel hides from this process what programs call
   * @throws KernelError
   */
  list(): PeerRedirect[] | null {
    this.#example ??= loadExample();
    // A kernel without the helper has no program that calls it.
    if (this.#example === null) return [];
    const { place, code } = this.#example;
    if (place === null) return null;
    const ids = new Set(programIds());
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    for (const id of ids) if (!this.#known.has(id)) this.#known.set(id, lookAt(id, place, code));
    return [...this.#known.values()].filter((found) => found !== null);
  }
}

function loadExample(): Example | null {
  const { result } = loadProgram({ name: "pc_probe", type: PROGRAM_TYPE.SCHED_CLS, code: REDIRECT_TO_PEER });
  if (result < 0) return null;
  try {
    const code = codeOf(result);
    const [place = 0] = calledHelpers(code);
    return { place: place === 0 ? null : place, code };
  } finally {
    closeFd(result);
  }
}

/** @param example which another process of ours may have loaded just now */
function lookAt(id: number, place: number, example: Buffer): PeerRedirect | null {
  const fd = openProgram(id);
  if (fd === null) return null;
  try {
    const { type, name } = programInfo(fd);
    if (type !== PROGRAM_TYPE.SCHED_CLS) return null;
    const code = codeOf(fd);
    return calledHelpers(code).has(place) && !code.equals(example) ? { id, name } : null;
  } finally {
    closeFd(fd);
  }
}

function codeOf(fd: number): Buffer {
  return programInstructions(fd, programInfo(fd).instructions * INSTRUCTION_SIZE);
}

/** What such programs do, for messages. */
export function peerRedirectText(found: readonly PeerRedirect[]): string {
  const names = found.map(({ id, name }) => `${name} (${id})`).join(", ");
  const subject = found.length === 1 ? "the BPF program" : "the BPF programs";
  return `${subject} ${names} can put packets into pods past the node's end of their veths (bpf_redirect_peer)`;
}
