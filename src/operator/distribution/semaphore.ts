/** Lets only so many work at a time; the others wait in order. Who takes too long no longer counts: nobody waits for the slow. */
export class Semaphore {
  readonly #places: number;
  readonly #patience: number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  /** @param patience milliseconds after which a place is given on */
  constructor(places: number, patience: number) {
    this.#places = places;
    this.#patience = patience;
  }

  /**
   * Calls back when there is a place, at once or later. Returns what gives the place back, or ends the waiting; it may be called
   * more than once.
   */
  enter(begin: () => void): () => void {
    let timer: NodeJS.Timeout | null = null;
    let isOver = false;
    const start = () => {
      this.#taken += 1;
      timer = setTimeout(leave, this.#patience);
      begin();
    };
    const leave = () => {
      if (isOver) return;
      isOver = true;
      if (timer === null) {
        this.#waiting.delete(start);
        return;
      }
      clearTimeout(timer);
      this.#taken -= 1;
      this.#next();
    };
    if (this.#taken < this.#places) start();
    else this.#waiting.add(start);
    return leave;
  }

  #next(): void {
    const [start] = this.#waiting;
    if (start === undefined || this.#taken >= this.#places) return;
    this.#waiting.delete(start);
    start();
  }
}
