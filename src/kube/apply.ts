/** Writing objects. */
import type { KubeConnection } from "./connection.ts";
import { isNotFound } from "./errors.ts";
import { apiVersionOf, objectPath, type ResourceKind } from "./resources.ts";

/** What comes back is looked at for nothing else, and the object may be a megabyte. */
const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const APPLY = "application/apply-patch+yaml";

/**
 * Server-side apply of the status alone: these fields become what is given, and ours; ours that are not given go.
 * @param object with a `resourceVersion` only the object of that version is written to, and any other is a conflict
 * @returns whether the object is still there
 * @throws ApiError, 409 where the version is another; UnreachableError
 */
export async function applyStatus(
  connection: KubeConnection,
  kind: ResourceKind,
  { namespace, name, resourceVersion }: { namespace: string; name: string; resourceVersion?: string },
  status: unknown,
  fieldManager: string,
): Promise<boolean> {
  const body = {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: { name, namespace, resourceVersion },
    status,
  };
  try {
    await connection.request("PATCH", objectPath(kind, namespace, name, "status"), {
      // Force: the status is this field manager's and nobody else's.
      query: { fieldManager, force: true },
      contentType: APPLY,
      accept: METADATA,
      body,
    });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
