/** The test's side of the servers outside. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { ServerRequest, ServerResponse } from "../../tools/servers/protocol.ts";
import type { AskedName, Receipt } from "../../tools/servers/receipts.ts";
import type { Zone } from "../../tools/servers/zone.ts";

const PROGRAM = join(import.meta.dirname, "../../tools/servers/main.ts");

type WithoutId<T> = T extends { id: number } ? Omit<T, "id"> : never;

export class OutsideServers {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (response: ServerResponse) => void>();
  #requests = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (response: ServerResponse) => this.#answers.get(response.id)?.(response));
  }

  /** Starts them in a namespace. */
  static async start(namespace: string): Promise<OutsideServers> {
    const command = ["--disable-warning=ExperimentalWarning", PROGRAM];
    const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, "--", process.execPath, ...command], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      // Its parent's role in the test runner is not its own.
      env: { PATH: process.env.PATH ?? "", NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? "" },
    });
    const servers = new OutsideServers(child);
    await new Promise<void>((settle, reject) => {
      servers.#answers.set(0, () => settle());
      child.once("exit", (code) => reject(new Error(`the servers have ended: ${code}`)));
    });
    return servers;
  }

  /** What the name server knows from now on. */
  async zone(zone: Zone): Promise<void> {
    await this.#request({ operation: "zone", zone });
  }

  /** What arrived with this text in it, in order. */
  async received(text: string): Promise<Receipt[]> {
    return (await this.#request({ operation: "received", text })) as Receipt[];
  }

  /** The questions for a name that arrived. */
  async asked(name: string): Promise<AskedName[]> {
    return (await this.#request({ operation: "asked", name })) as AskedName[];
  }

  /** Sends a datagram that nobody asked for. */
  async send(
    from: { address: string; port: number },
    to: { address: string; port: number },
    hex: string,
  ): Promise<void> {
    await this.#request({ operation: "send", from, to, hex });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  #request(request: WithoutId<ServerRequest>): Promise<unknown> {
    const id = ++this.#requests;
    return new Promise((settle, reject) => {
      this.#answers.set(id, ({ result, error }) => {
        this.#answers.delete(id);
        if (error === undefined) settle(result);
        else reject(new Error(`the servers: ${error}`));
      });
      this.#child.send({ id, ...request });
    });
  }
}
