/** TokenReview: which account a token belongs to. */
import type { KubeConnection } from "../connection.ts";
import { apiVersionOf, collectionPath, TOKEN_REVIEWS } from "../resources.ts";

/** An authenticated user; null means that the token is not good for the audience. */
export interface TokenUser {
  /** `system:serviceaccount:namespace:name` for service accounts. */
  username: string;
  uid: string;
  groups: string[];
  /** What the token is bound to, such as `authentication.kubernetes.io/node-name`. */
  extra: Record<string, string[]>;
}

/**
 * Asks the API server.
 * @param audience that the token has to be for; null: the API server's own
 * @throws ApiError, UnreachableError; a token that is not good is no error
 */
export async function reviewToken(
  connection: KubeConnection,
  token: string,
  audience: string | null,
): Promise<TokenUser | null> {
  const review = (await connection.request("POST", collectionPath(TOKEN_REVIEWS), {
    body: {
      apiVersion: apiVersionOf(TOKEN_REVIEWS),
      kind: TOKEN_REVIEWS.kind,
      spec: { token, ...(audience === null ? {} : { audiences: [audience] }) },
    },
  })) as {
    status?: {
      authenticated?: boolean;
      audiences?: string[];
      user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
    };
  };
  const { authenticated, audiences, user } = review.status ?? {};
  // An API server that knows no audiences leaves them out, and the token may be anybody's.
  if (authenticated !== true || user?.username === undefined) return null;
  if (audience !== null && !audiences?.includes(audience)) return null;
  return { username: user.username, uid: user.uid ?? "", groups: user.groups ?? [], extra: user.extra ?? {} };
}
