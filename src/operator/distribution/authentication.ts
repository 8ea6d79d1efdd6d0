/** Who is at the other end of a stream: an agent's service account, on the node that its token is bound to. */
import { status as GrpcStatus, type Metadata } from "@grpc/grpc-js";
import { causeText, PortcullisError } from "../../api/errors.ts";
import type { TokenUser } from "../../kube/access/token-review.ts";

/** A stream is ended with this. */
export class StreamRefusal extends PortcullisError {
  /** Of gRPC. */
  readonly status: GrpcStatus;

  constructor(status: GrpcStatus, message: string, options?: ErrorOptions) {
    super("PC_STREAM_REFUSED", message, options);
    this.status = status;
  }
}

export interface AuthenticationOptions {
  /** `namespace/name` of the agents' service account. */
  serviceAccount: string;
  review: (token: string) => Promise<TokenUser | null>;
  /** Node of a pod, for API servers that do not say which node a token is bound to; null where the pod is not known. */
  nodeOfPod: (namespace: string, name: string, uid: string) => string | null;
}

const NODE_NAME = "authentication.kubernetes.io/node-name";
const POD_NAME = "authentication.kubernetes.io/pod-name";
const POD_UID = "authentication.kubernetes.io/pod-uid";
const BEARER = "Bearer ";
/** Of a service account's token, which has one or two thousand. */
const TOKEN_BYTES_MAX = 8 * 1024;

/**
 * The node that the caller may speak for.
 * @throws StreamRefusal
 */
export async function authenticate(metadata: Metadata, options: AuthenticationOptions): Promise<string> {
  const [header] = metadata.get("authorization");
  if (typeof header !== "string" || !header.startsWith(BEARER)) {
    throw new StreamRefusal(GrpcStatus.UNAUTHENTICATED, "there is no token; send authorization: Bearer TOKEN");
  }
  if (header.length > TOKEN_BYTES_MAX) {
    throw new StreamRefusal(GrpcStatus.UNAUTHENTICATED, `the token is longer than ${TOKEN_BYTES_MAX} bytes`);
  }
  const user = await reviewed(header.slice(BEARER.length), options);
  const [namespace, name] = options.serviceAccount.split("/");
  if (user.username !== `system:serviceaccount:${namespace}:${name}`) {
    throw new StreamRefusal(
      GrpcStatus.PERMISSION_DENIED,
      `the token is of ${user.username}, not of the agents' service account ${options.serviceAccount}`,
    );
  }
  const node = user.extra[NODE_NAME]?.[0] ?? nodeByPod(user, namespace ?? "", options);
  if (node) return node;
  throw new StreamRefusal(
    GrpcStatus.PERMISSION_DENIED,
    "the token is not bound to a pod that is known on a node; mount a projected service-account token",
  );
}

async function reviewed(token: string, { review }: AuthenticationOptions): Promise<TokenUser> {
  let user: TokenUser | null;
  try {
    user = await review(token);
  } catch (cause) {
    const message = `the token cannot be checked now: ${causeText(cause)}`;
    throw new StreamRefusal(GrpcStatus.UNAVAILABLE, message, { cause });
  }
  if (user !== null) return user;
  throw new StreamRefusal(
    GrpcStatus.UNAUTHENTICATED,
    "the token is not valid, has expired, or is for another audience",
  );
}

function nodeByPod({ extra }: TokenUser, namespace: string, { nodeOfPod }: AuthenticationOptions): string | null {
  const [name] = extra[POD_NAME] ?? [];
  const [uid] = extra[POD_UID] ?? [];
  return name === undefined || uid === undefined ? null : nodeOfPod(namespace, name, uid);
}
