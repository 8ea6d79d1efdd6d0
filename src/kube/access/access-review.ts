/** SubjectAccessReview: whether an account may do something. */
import type { KubeConnection } from "../connection.ts";
import { apiVersionOf, collectionPath, SUBJECT_ACCESS_REVIEWS } from "../resources.ts";
import type { TokenUser } from "./token-review.ts";

/** As in a role: what is to be done, and to what. */
export interface ResourceAttributes {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  namespace?: string;
  name?: string;
}

/** A path that belongs to no object, such as `/metrics`. */
export interface PathAttributes {
  verb: string;
  path: string;
}

/**
 * Asks the API server, which asks its authorizers.
 * @throws ApiError, UnreachableError
 */
export async function reviewAccess(
  connection: KubeConnection,
  { username, uid, groups, extra }: TokenUser,
  attributes: ResourceAttributes | PathAttributes,
): Promise<{ allowed: boolean; reason: string }> {
  const asked = "path" in attributes ? { nonResourceAttributes: attributes } : { resourceAttributes: attributes };
  const review = (await connection.request("POST", collectionPath(SUBJECT_ACCESS_REVIEWS), {
    body: {
      apiVersion: apiVersionOf(SUBJECT_ACCESS_REVIEWS),
      kind: SUBJECT_ACCESS_REVIEWS.kind,
      spec: { user: username, uid, groups, extra, ...asked },
    },
  })) as { status?: { allowed?: boolean; denied?: boolean; reason?: string; evaluationError?: string } };
  const { allowed, denied, reason, evaluationError } = review.status ?? {};
  return { allowed: allowed === true && denied !== true, reason: reason || evaluationError || "" };
}
