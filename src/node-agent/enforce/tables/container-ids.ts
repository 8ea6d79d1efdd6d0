/** The numbers by which the kernel side knows containers. */
import { createHmac } from "node:crypto";

/**
 * A number for each name of a container, 32 bits; 0 stands for any container. Under a key that only the agent knows: whoever may add
 * an ephemeral container chooses its name, and must not find one that has another's number.
 */
export class ContainerIds {
  readonly #key: Buffer;

  /** @param secret as long as it stays, so do the numbers */
  constructor(secret: bigint) {
    this.#key = Buffer.from(secret.toString());
  }

  of(name: string | null): number {
    if (name === null) return 0;
    const id = createHmac("sha256", this.#key).update(name).digest().readUInt32LE(0);
    // 0 means "any"; a name that comes to it would be taken for that.
    return id === 0 ? 1 : id;
  }
}
