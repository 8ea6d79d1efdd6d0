/** C memory as JavaScript sees it: addresses are bigint, NULL is null. */
import koffi from "koffi";

/** An address in this process. The brand keeps addresses of different things, and plain numbers, apart. */
export type Pointer<T extends string = "memory"> = bigint & { readonly pointsTo: T };

/** Text up to the NUL at `address`; "" for NULL. */
export function readText(address: Pointer<string> | null): string {
  return address === null ? "" : (koffi.decode.string(address) as string);
}

/** A copy of `length` bytes at `address`. */
export function readMemory(address: Pointer<string>, length: number): Buffer {
  return Buffer.from(Buffer.from(koffi.view(address, length)));
}

/**
 * The memory itself, not a copy. Touching it after the memory is gone ends the process, so the owner detaches it
 * (`detachView`) first.
 */
export function viewMemory(address: Pointer<string>, length: number): ArrayBuffer {
  return koffi.view(address, length);
}

/** Empties a view: every typed array and Buffer on it has length 0 from now on. */
export function detachView(view: ArrayBuffer): void {
  view.transfer();
}

/** Gives memory that C allocated back to C. */
export function freeMemory(address: Pointer<string>): void {
  koffi.free(address);
}
