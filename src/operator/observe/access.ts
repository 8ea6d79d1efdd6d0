/** Authenticates an observer of a pod and checks its rights; the API server decides both. */
import { causeText } from "../../api/errors.ts";
import { reviewAccess } from "../../kube/access/access-review.ts";
import { reviewToken, type TokenUser } from "../../kube/access/token-review.ts";
import type { KubeConnection } from "../../kube/connection.ts";
import { OBSERVE_AUDIENCE, OBSERVE_PERMISSION } from "../../protocol/observe.ts";
import { ObserveRefusal } from "./refusal.ts";

export interface ObservedPod {
  namespace: string;
  pod: string;
}

export interface ObserverAccess {
  /** @throws ObserveRefusal */
  authenticate(token: string): Promise<TokenUser>;
  /** @throws ObserveRefusal */
  authorize(user: TokenUser, pod: ObservedPod): Promise<void>;
}

export function observerAccess(connection: KubeConnection): ObserverAccess {
  return {
    authenticate: async (token) => {
      const user = await asked(() => reviewToken(connection, token, OBSERVE_AUDIENCE));
      if (user !== null) return user;
      const message = `the token is not valid, has expired, or is not for the audience ${OBSERVE_AUDIENCE}`;
      throw new ObserveRefusal("Unauthorized", message);
    },
    authorize: async (user, { namespace, pod }) => {
      const { verb, resource, subresource, group } = OBSERVE_PERMISSION;
      const access = await asked(() => reviewAccess(connection, user, { ...OBSERVE_PERMISSION, namespace, name: pod }));
      if (access.allowed) return;
      const why = access.reason === "" ? "" : ` (${access.reason})`;
      const right = `${verb} of ${resource}/${subresource} in ${group}`;
      const message = `${user.username} may not observe pods of namespace ${namespace}: that takes ${right}${why}`;
      throw new ObserveRefusal("Forbidden", message);
    },
  };
}

async function asked<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (cause) {
    const message = `the API server cannot say now who you are and what you may: ${causeText(cause)}`;
    throw new ObserveRefusal("ServiceUnavailable", message, { cause });
  }
}
