/** One watch: what changes in a collection from a version on, until it ends or breaks. */
import type { KubeConnection } from "./connection.ts";
import { ApiError, UnreachableError } from "./errors.ts";
import { type Scope, selectors, watchAccept } from "./list.ts";
import { collectionPath, type KubeObject } from "./resources.ts";

export interface WatchEvent {
  /** A bookmark says only up to which version all is sent. */
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  object: KubeObject;
}

export interface WatchOptions {
  resourceVersion: string;
  signal: AbortSignal;
  /** The API server is asked to end the watch after so many seconds. */
  seconds: number;
  /** Milliseconds of silence after which the watch counts as broken; bookmarks come about once a minute. */
  silence: number;
  /** The API server has agreed to watch. */
  onOpen?: () => void;
}

/**
 * Yields events until the API server ends the watch, which is nothing unusual.
 * @throws ApiError, with status 410 where the version is no longer kept; UnreachableError where the stream breaks
 */
export async function* watch(
  connection: KubeConnection,
  scope: Scope,
  options: WatchOptions,
): AsyncGenerator<WatchEvent> {
  const path = collectionPath(scope.kind, scope.namespace);
  const accept = watchAccept(scope);
  const lines = connection.lines(path, {
    query: {
      ...selectors(scope),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: options.seconds,
    },
    signal: options.signal,
    silence: options.silence,
    ...(accept === undefined ? {} : { accept }),
    ...(options.onOpen === undefined ? {} : { onOpen: options.onOpen }),
  });
  for await (const line of lines) {
    if (line !== "") yield readEvent(line, path);
  }
}

function readEvent(line: string, path: string): WatchEvent {
  let event: { type?: string; object?: KubeObject & { code?: number; reason?: string; message?: string } };
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw new UnreachableError(`watch ${path}`, new Error("a line is not JSON", { cause }));
  }
  const { type, object } = event;
  if (type === "ERROR") {
    throw new ApiError(`watch ${path}`, object?.code ?? 500, object?.reason ?? "", object?.message ?? "no explanation");
  }
  if (object?.metadata === undefined || !isKnownType(type)) {
    throw new UnreachableError(`watch ${path}`, new Error(`an event of type ${String(type)} cannot be read`));
  }
  return { type, object };
}

function isKnownType(type: unknown): type is WatchEvent["type"] {
  return type === "ADDED" || type === "MODIFIED" || type === "DELETED" || type === "BOOKMARK";
}
