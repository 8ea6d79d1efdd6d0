/** Listing a collection in pages. */
import type { KubeConnection } from "./connection.ts";
import { TooLargeError } from "./errors.ts";
import { collectionPath, type KubeObject, type ResourceKind } from "./resources.ts";

/** Which objects of a kind. */
export interface Scope {
  kind: ResourceKind;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Only `metadata` is asked for. */
  metadataOnly?: boolean;
}

const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const METADATA_ITEM = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/** Enough to keep the number of requests small, and few enough that a page of pods is about a megabyte. */
export const PAGE_SIZE = 500;
/**
 * Objects may be 1.5 MB each, which is as much as etcd takes. A page above the limit is broken off and asked for anew, smaller; later ones
 * are as large as the last one's objects let it be. Parsed, a page takes some five times this.
 */
export const PAGE_BYTES = 8 * 1024 * 1024;
/** A page may come from etcd, past a queue. */
const PAGE_TIMEOUT_MS = 60_000;

interface Page {
  metadata?: { resourceVersion?: string; continue?: string };
  items?: KubeObject[];
}

/**
 * Hands over each page as it comes, so that no more than one is in memory, and no page is larger than `pageBytes`, unless a single object
 * is. Returns the version of the whole, to watch from.
 * @throws ApiError, 410 among them where the pages took too long; UnreachableError
 */
export async function listPages(
  connection: KubeConnection,
  scope: Scope,
  take: (items: KubeObject[]) => void,
  options: { pageSize?: number; pageBytes?: number; signal?: AbortSignal } = {},
): Promise<string> {
  const { pageSize = PAGE_SIZE, pageBytes = PAGE_BYTES, signal } = options;
  let limit = pageSize;
  let next: string | undefined;
  let version = "";
  while (true) {
    let bytes = 0;
    let page: Page;
    try {
      page = (await connection.request("GET", collectionPath(scope.kind, scope.namespace), {
        query: { ...selectors(scope), limit, continue: next },
        timeout: PAGE_TIMEOUT_MS,
        ...(limit > 1 ? { maxBytes: pageBytes } : {}),
        onBytes: (count) => {
          bytes = count;
        },
        ...(scope.metadataOnly ? { accept: METADATA_LIST } : {}),
        ...(signal ? { signal } : {}),
      })) as Page;
    } catch (cause) {
      if (!(cause instanceof TooLargeError) || limit === 1) throw cause;
      limit = Math.ceil(limit / 4);
      continue;
    }
    take(page.items ?? []);
    limit = nextLimit(limit, page.items?.length ?? 0, bytes, { pageSize, pageBytes });
    next = page.metadata?.continue || undefined;
    // All pages tell the version of the first.
    version = page.metadata?.resourceVersion ?? version;
    if (next === undefined) return version;
  }
}

/**
 * The version that a collection is at.
 * @throws ApiError, UnreachableError
 */
export async function currentVersion(connection: KubeConnection, scope: Scope, signal: AbortSignal): Promise<string> {
  const page = (await connection.request("GET", collectionPath(scope.kind, scope.namespace), {
    query: { ...selectors(scope), limit: 1 },
    accept: METADATA_LIST,
    signal,
  })) as Page;
  return page.metadata?.resourceVersion ?? "";
}

/** Half of what would fit if the next objects are like these; more than before only step by step. */
function nextLimit(limit: number, items: number, bytes: number, most: { pageSize: number; pageBytes: number }): number {
  if (items === 0) return limit;
  const fitting = Math.floor(most.pageBytes / 2 / (bytes / items));
  return Math.max(1, Math.min(fitting, limit * 4, most.pageSize));
}

/** The selectors of a scope as query parameters. */
export function selectors({ labelSelector, fieldSelector }: Scope): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

/** What to accept when watching. */
export function watchAccept(scope: Scope): string | undefined {
  return scope.metadataOnly ? METADATA_ITEM : undefined;
}
