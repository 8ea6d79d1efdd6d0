/**
 * The programs of Portcullis that see every socket of the machine, not only those of workloads. A baseline is one only
 * while they are off, so they are attached and detached between rounds, in place of the agent's own.
 */
import { join } from "node:path";
import { socketConstants } from "../src/node-agent/enforce/attach/programs.ts";
import { listPins } from "../src/node-agent/kernel/bpffs.ts";
import { attach, type BpfLink, detachPinned } from "../src/node-agent/kernel/links/links.ts";
import { BpfObject, type LoadedProgram } from "../src/node-agent/kernel/objects.ts";

const OBJECTS = ["sockets", "receivers"];
const OPTIONAL = ["socket_writes", "socket_sent", "socket_received"];

export class SocketHooks implements Disposable {
  readonly #objects: BpfObject[];
  readonly #programs: LoadedProgram[];
  #links: BpfLink[] = [];

  /** Takes the place of the hooks that an agent has pinned under `pinRoot`. They are off then. */
  constructor(pinRoot: string, objectFolder: string) {
    const folder = join(pinRoot, "links");
    const pinned = new Set(listPins(folder));
    const without = OPTIONAL.filter((name) => !pinned.has(name));
    this.#objects = OBJECTS.map((name) =>
      BpfObject.load(join(objectFolder, `${name}.bpf.o`), {
        pinRoot,
        ...(name === "sockets" ? { constants: socketConstants(), without } : {}),
      }),
    );
    this.#programs = this.#objects.flatMap((object) => object.programs()).filter(({ name }) => pinned.has(name));
    for (const { name } of this.#programs) detachPinned(join(folder, name));
  }

  /** Attaches, or detaches, all of them. */
  set(on: boolean): void {
    if (on === this.#links.length > 0) return;
    if (on) this.#links = this.#programs.map((program) => attach(program));
    else for (const link of this.#links.splice(0)) link.close();
  }

  [Symbol.dispose](): void {
    this.set(false);
    for (const object of this.#objects) object.close();
  }
}
