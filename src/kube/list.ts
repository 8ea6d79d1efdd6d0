/** Listing a collection in pages. */
import type { KubeConnection } from "./connection.ts";
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
/** A page may come from etcd, past a queue. */
const PAGE_TIMEOUT_MS = 60_000;

interface Page {
  metadata?: { resourceVersion?: string; continue?: string };
  items?: KubeObject[];
}

/**
 * Hands over each page as it comes, so that no more than one is in memory. Returns the version of the whole, to watch from.
 * @throws ApiError, 410 among them where the pages took too long; UnreachableError
 */
export async function listPages(
  connection: KubeConnection,
  scope: Scope,
  take: (items: KubeObject[]) => void,
  options: { pageSize?: number; signal?: AbortSignal } = {},
): Promise<string> {
  let next: string | undefined;
  let version = "";
  do {
    const page = (await connection.request("GET", collectionPath(scope.kind, scope.namespace), {
      query: { ...selectors(scope), limit: options.pageSize ?? PAGE_SIZE, continue: next },
      timeout: PAGE_TIMEOUT_MS,
      ...(scope.metadataOnly ? { accept: METADATA_LIST } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    })) as Page;
    take(page.items ?? []);
    next = page.metadata?.continue || undefined;
    // All pages tell the version of the first.
    version = page.metadata?.resourceVersion ?? version;
  } while (next !== undefined);
  return version;
}

/** The selectors of a scope as query parameters. */
export function selectors({ labelSelector, fieldSelector }: Scope): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

/** What to accept when watching. */
export function watchAccept(scope: Scope): string | undefined {
  return scope.metadataOnly ? METADATA_ITEM : undefined;
}
