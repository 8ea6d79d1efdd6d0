/** Where the API server is, and how one is let in. */
import type { RequestOptions } from "node:https";

export interface ApiAccess {
  /** `https://host:port`, without a slash at the end. */
  readonly server: string;
  /** The settings bring their own agent, which knows the way. */
  readonly hasProxy: boolean;
  /** Credentials and TLS as of now: tokens and certificates are renewed under us. */
  settings(): Promise<RequestOptions>;
}

/** Without encryption or credentials: a proxy on this machine, or a test. */
export function plainAccess(server: string): ApiAccess {
  return { server, hasProxy: false, settings: () => Promise.resolve({ headers: {} }) };
}
