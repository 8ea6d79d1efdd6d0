/** Whether bearers of tokens may read: asked once for each that may and a while, and about few others at a time. */
import { createHash } from "node:crypto";

/** none: there is no token. later: it cannot be asked now. */
export type TokenVerdict = "yes" | "no" | "none" | "later";

const BEARER = /^Bearer ([A-Za-z0-9._~+/=-]{1,8192})$/i;
/** A right that is taken away ends after this long. */
const ALLOWED_MS = 60_000;
const REMEMBERED = 64;
/** Questions at a time about tokens that might be anybody's; the API server has other things to do. */
const ASKED_MAX = 4;
const ANSWER_MS = 10_000;

export class TokenVerdicts {
  readonly #ask: (id: number, token: string) => void;
  /** Until when those that may need not be asked about again, by the token's hash. */
  readonly #known = new Map<string, number>();
  /** By the token's hash: who is being asked about. */
  readonly #asked = new Map<string, Promise<TokenVerdict>>();
  readonly #answers = new Map<number, (allowed: boolean | null) => void>();
  #lastId = 0;

  /** @param ask asks whether the bearer may; the answer comes through `reviewed` */
  constructor(ask: (id: number, token: string) => void) {
    this.#ask = ask;
  }

  /** @param header `Bearer TOKEN` */
  async of(header: string | undefined): Promise<TokenVerdict> {
    const token = BEARER.exec(header ?? "")?.[1];
    if (token === undefined) return "none";
    const key = createHash("sha256").update(token).digest("base64");
    const known = this.#known.get(key);
    if (known !== undefined && known > performance.now()) return "yes";
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    if (known === undefined && this.#asked.size >= ASKED_MAX) return "later";
    const answer = this.#answer(key, token);
    this.#asked.set(key, answer);
    return answer;
  }

  reviewed(id: number, allowed: boolean | null): void {
    this.#answers.get(id)?.(allowed);
  }

  async #answer(key: string, token: string): Promise<TokenVerdict> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<boolean | null>();
    const late = setTimeout(() => resolve(null), ANSWER_MS);
    this.#answers.set(id, resolve);
    this.#ask(id, token);
    const allowed = await promise;
    clearTimeout(late);
    this.#answers.delete(id);
    this.#asked.delete(key);
    if (allowed === null) return "later";
    this.#known.delete(key);
    if (!allowed) return "no";
    this.#known.set(key, performance.now() + ALLOWED_MS);
    if (this.#known.size > REMEMBERED) this.#known.delete(this.#known.keys().next().value ?? "");
    return "yes";
  }
}
