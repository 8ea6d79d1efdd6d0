/** Metrics as text: rendered when somebody asks, at most once a second, and once for all who wait. */

export interface RenderedMetrics {
  text: string;
  contentType: string;
}

const AGE_MS = 1_000;
/** Who renders may be busy for so long. */
const WAIT_MS = 8_000;

export class MetricsText {
  readonly #render: () => void;
  #last: RenderedMetrics | null = null;
  #at = Number.NEGATIVE_INFINITY;
  #waiting: ((rendered: RenderedMetrics | null) => void)[] = [];
  #late: NodeJS.Timeout | null = null;

  /** @param render asks for a text; it comes through `rendered` */
  constructor(render: () => void) {
    this.#render = render;
  }

  /** Null: there is none. */
  get(): Promise<RenderedMetrics | null> {
    if (performance.now() - this.#at < AGE_MS) return Promise.resolve(this.#last);
    const { promise, resolve } = Promise.withResolvers<RenderedMetrics | null>();
    this.#waiting.push(resolve);
    if (this.#waiting.length === 1) {
      this.#late = setTimeout(() => this.#settle(null), WAIT_MS);
      this.#render();
    }
    return promise;
  }

  rendered({ text, contentType }: { text: string | null; contentType: string }): void {
    this.#last = text === null ? null : { text, contentType };
    this.#at = performance.now();
    this.#settle(this.#last);
  }

  #settle(rendered: RenderedMetrics | null): void {
    if (this.#late !== null) clearTimeout(this.#late);
    this.#late = null;
    for (const resolve of this.#waiting.splice(0)) resolve(rendered);
  }
}
