/** Shared libraries, opened at the first call of one of their functions, so that importing a module needs none. */
import { endianness } from "node:os";
import koffi from "koffi";
import { causeText, PortcullisError } from "../../api/errors.ts";

/** This machine, or what is installed on it, cannot run the node's side of Portcullis. */
export class PlatformError extends PortcullisError {
  constructor(code: "PC_PLATFORM" | "PC_LIBRARY_MISSING", message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

const ARCHITECTURES = ["x64", "arm64"];

/**
 * The layouts in this folder are those of 64-bit little-endian Linux.
 * @throws PlatformError elsewhere.
 */
export function assertPlatform(platform = process.platform, arch = process.arch, byteOrder = endianness()): void {
  if (platform === "linux" && ARCHITECTURES.includes(arch) && byteOrder === "LE") return;
  throw new PlatformError(
    "PC_PLATFORM",
    `${platform} on ${arch} (${byteOrder}) is not supported: the node agent runs on Linux on x86-64 or arm64. ` +
      "Use one of these nodes; `portcullis validate` and `portcullis explain` work anywhere",
  );
}

// biome-ignore lint/complexity/noBannedTypes: any callable; the definition given to `declare` is its real type
type Callable = Function;

/** One shared library and the functions declared from it. */
export class Library {
  readonly #file: string;
  readonly #remedy: string;
  #handle: ReturnType<typeof koffi.load> | null = null;

  /** @param file name for dlopen(3); @param remedy what to do if it is not there */
  constructor(file: string, remedy: string) {
    this.#file = file;
    this.#remedy = remedy;
  }

  /**
   * A C function, bound at its first call. The caller vouches for `F`: numbers and strings given for a pointer
   * would silently be taken as one, so declarations stay inside this folder, behind typed functions.
   */
  declare<F extends Callable>(definition: string): F {
    let bound: ((...args: unknown[]) => unknown) | null = null;
    const call = (...args: unknown[]): unknown => {
      bound ??= this.#open().func(definition) as (...args: unknown[]) => unknown;
      return bound(...args);
    };
    return call as unknown as F;
  }

  #open(): ReturnType<typeof koffi.load> {
    if (this.#handle !== null) return this.#handle;
    assertPlatform();
    try {
      this.#handle = koffi.load(this.#file);
    } catch (cause) {
      const message = `cannot open the library ${this.#file}: ${causeText(cause)}. ${this.#remedy}`;
      throw new PlatformError("PC_LIBRARY_MISSING", message, { cause });
    }
    return this.#handle;
  }
}
