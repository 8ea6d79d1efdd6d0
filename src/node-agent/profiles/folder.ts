/** A folder of manifests, watched. Every change is read as a whole, after the writer has paused. */
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { causeCode, UnreadableError } from "../../api/errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { readManifests } from "./manifests.ts";
import type { ProfileRevision, ProfileSource } from "./source.ts";

/** Editors and `kubectl cp` write in several steps; this long after the last one the folder is read. */
const SETTLE_MS = 100;
/** A change is never held back longer than this by others that follow it. */
const SETTLE_LIMIT_MS = 1000;
/** Some file systems do not report changes (network mounts, overlays): look as well. */
const RELIST_MS = 2000;

const MANIFEST_PATTERN = /\.(?:ya?ml|json)$/i;
/** Hidden files, and what editors leave beside the file they write (`#x.yaml#` ends otherwise, `.#x.yaml` is hidden). */
const IGNORED_PATTERN = /^[.#]|~$/;

/** The manifests in a folder, not in folders below it, sorted; a single file is its own list. @throws UnreadableError */
export function listManifests(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => MANIFEST_PATTERN.test(name) && !IGNORED_PATTERN.test(name))
      .sort()
      .map((name) => join(path, name));
  } catch (cause) {
    throw new UnreadableError(path, cause);
  }
}

export class ProfileFolder implements ProfileSource {
  readonly #path: string;
  readonly #log: Logger;
  readonly #listeners = new Set<(revision: ProfileRevision) => void>();
  readonly #relist: NodeJS.Timeout;
  #watcher: FSWatcher | null = null;
  #current: ProfileRevision;
  #fingerprint: string;
  #settle: NodeJS.Timeout | null = null;
  #changedAt = 0;

  /** @throws UnreadableError if the folder is not there at the start. */
  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#fingerprint = fingerprint(path);
    this.#current = readManifests(path, listManifests(path));
    this.#watch();
    this.#relist = setInterval(() => this.#look(), RELIST_MS);
  }

  current(): ProfileRevision {
    return this.#current;
  }

  subscribe(listener: (revision: ProfileRevision) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#relist);
    if (this.#settle !== null) clearTimeout(this.#settle);
    this.#listeners.clear();
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#path, () => this.#changed());
      this.#watcher.on("error", (error) => this.#unwatch(error));
    } catch (cause) {
      this.#unwatch(cause);
    }
  }

  /** Looking every two seconds is slower, and always works. */
  #unwatch(cause: unknown): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#log.warn({ path: this.#path, err: cause }, "cannot watch the profiles; looking every 2 s instead");
  }

  #changed(): void {
    const now = Date.now();
    if (this.#settle === null) this.#changedAt = now;
    else clearTimeout(this.#settle);
    const wait = Math.max(0, Math.min(SETTLE_MS, this.#changedAt + SETTLE_LIMIT_MS - now));
    this.#settle = setTimeout(() => {
      this.#settle = null;
      this.#read();
    }, wait);
  }

  #look(): void {
    if (this.#watcher === null) this.#watchAgain();
    if (this.#settle === null && fingerprint(this.#path) !== this.#fingerprint) this.#changed();
  }

  /** The folder may have been replaced by another of its name, which a watch does not follow. */
  #watchAgain(): void {
    try {
      this.#watcher = watch(this.#path, () => this.#changed());
      this.#watcher.on("error", (error) => this.#unwatch(error));
    } catch (cause) {
      this.#log.debug({ path: this.#path, err: cause }, "still cannot watch the profiles");
    }
  }

  #read(): void {
    this.#fingerprint = fingerprint(this.#path);
    const revision = this.#readAll();
    if (revision.revision === this.#current.revision) return;
    this.#current = revision;
    for (const listener of this.#listeners) listener(revision);
  }

  #readAll(): ProfileRevision {
    try {
      return readManifests(this.#path, listManifests(this.#path));
    } catch (cause) {
      if (!(cause instanceof UnreadableError)) throw cause;
      const error = { source: this.#path, field: "", message: cause.message };
      return {
        revision: `unreadable-${causeCode(cause.cause) ?? "unknown"}`,
        profiles: [],
        errors: [error],
        warnings: [],
      };
    }
  }
}

/** What changes when a manifest does: names, inodes, sizes and times of change. */
function fingerprint(path: string): string {
  try {
    return listManifests(path).map(fileFingerprint).join("\n");
  } catch (cause) {
    if (cause instanceof UnreadableError) return `unreadable: ${cause.message}`;
    throw cause;
  }
}

function fileFingerprint(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return [path, ino, size, mtimeMs, ctimeMs].join(" ");
  } catch (cause) {
    return `${path} ${causeCode(cause) ?? "unreadable"}`;
  }
}
