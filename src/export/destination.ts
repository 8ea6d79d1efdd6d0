/** Where records of an export go. */
import type { MaskedRecord } from "../flow/field-mask.ts";

export interface Destination {
  /** A record as it is sent. @param line the same as JSON */
  encode(record: MaskedRecord, line: string): Uint8Array;
  /**
   * Settles when all of them are there. What fails is tried again after a while, with the same ones.
   * @returns how many of them the destination refused
   * @throws RefusedError where they will never be taken; anything else: where they may be the next time
   */
  send(items: readonly Uint8Array[]): Promise<number>;
  close(): Promise<void>;
}

/** The destination says that it will not take these records, ever. */
export class RefusedError extends Error {}
