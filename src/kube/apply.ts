/** Writing objects. */
import type { KubeConnection } from "./connection.ts";
import { isNotFound } from "./errors.ts";
import { apiVersionOf, type KubeObject, objectPath, type ResourceKind } from "./resources.ts";

const APPLY = "application/apply-patch+yaml";

/**
 * Server-side apply of the status alone: these fields become what is given, and ours; ours that are not given go.
 * @returns the object as it is now, null if it is gone
 * @throws ApiError, UnreachableError
 */
export async function applyStatus(
  connection: KubeConnection,
  kind: ResourceKind,
  { namespace, name }: { namespace: string; name: string },
  status: unknown,
  fieldManager: string,
): Promise<KubeObject | null> {
  const body = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name, namespace }, status };
  try {
    return (await connection.request("PATCH", objectPath(kind, namespace, name, "status"), {
      // Force: the status is this field manager's and nobody else's.
      query: { fieldManager, force: true },
      contentType: APPLY,
      body,
    })) as KubeObject;
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}
