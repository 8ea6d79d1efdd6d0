/** What the servers got: proof that a packet arrived, and that a dropped one did not. */

export interface Receipt {
  transport: "udp" | "tcp";
  /** Address and port of the server that got it. */
  address: string;
  port: number;
  /** Whom it came from, as the server sees it. */
  from: string;
  text: string;
}

export interface AskedName {
  transport: "udp" | "tcp";
  name: string;
  type: number;
}

/** In the order of arrival. */
export class Receipts {
  readonly #data: Receipt[] = [];
  readonly #names: AskedName[] = [];

  add(receipt: Receipt): void {
    this.#data.push(receipt);
  }

  asked(name: AskedName): void {
    this.#names.push(name);
  }

  /** Those whose text contains this. */
  containing(text: string): Receipt[] {
    return this.#data.filter((receipt) => receipt.text.includes(text));
  }

  questionsFor(name: string): AskedName[] {
    return this.#names.filter((asked) => asked.name === name.toLowerCase());
  }
}
