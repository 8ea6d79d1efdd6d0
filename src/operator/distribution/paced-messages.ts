/**
 * The messages of one agent's stream, at the pace at which the operator reads them. What comes faster waits at the agent, by
 * HTTP/2's own flow control, and makes nobody else wait.
 */
import type { Readable } from "node:stream";
import { readingCost } from "../../protocol/service.ts";
import { TokenBucket } from "../../timing/token-bucket.ts";

/** Messages of one stream that are read a second, and at once. A large one counts as many: each of so many bytes. */
const MESSAGES_PER_SECOND = 50;
const MESSAGES_BURST = 200;
const MESSAGE_BYTES = 128 * 1024;

export class PacedMessages<Message extends object> {
  readonly #stream: Pick<Readable, "pause" | "resume">;
  readonly #handle: (message: Message) => void;
  readonly #milliseconds: TokenBucket | null;
  readonly #messages = new TokenBucket(MESSAGES_BURST, MESSAGES_PER_SECOND);
  #resume: NodeJS.Timeout | null = null;
  #ended = false;

  /**
   * @param handle never throws
   * @param milliseconds of this thread, which several streams share; null: as many as it takes
   */
  constructor(
    stream: Pick<Readable, "on" | "pause" | "resume">,
    handle: (message: Message) => void,
    milliseconds: TokenBucket | null = null,
  ) {
    this.#stream = stream;
    this.#handle = handle;
    this.#milliseconds = milliseconds;
    stream.on("data", (message: Message) => this.#take(message));
  }

  /** No message is handled any more. */
  end(): void {
    this.#ended = true;
    if (this.#resume !== null) clearTimeout(this.#resume);
  }

  #take(message: Message): void {
    if (this.#ended) return;
    const begun = performance.now();
    this.#handle(message);
    const { bytes, milliseconds } = readingCost(message);
    this.#milliseconds?.spend(milliseconds + performance.now() - begun);
    this.#messages.spend(Math.ceil(bytes / MESSAGE_BYTES));
    if (this.#ended || this.#mayRead()) return;
    this.#stream.pause();
    this.#readLater();
  }

  #readLater(): void {
    this.#resume = setTimeout(() => {
      if (this.#mayRead()) this.#stream.resume();
      else this.#readLater();
    }, 1000 / MESSAGES_PER_SECOND);
  }

  #mayRead(): boolean {
    return this.#messages.has() && (this.#milliseconds?.has() ?? true);
  }
}
