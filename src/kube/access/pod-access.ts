/**
 * Access by the pod's own service account, as the operator has it in a cluster. It is read without the Kubernetes client, which takes
 * more memory for the kinds of objects that it knows than the operator for a small cluster.
 */
import { existsSync, readFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { ApiAccess } from "./access.ts";

/** What a pod finds of it. */
export interface PodEnvironment {
  host?: string | undefined;
  port?: string | undefined;
  folder: string;
}

/** The kubelet replaces the token well before it expires. */
const READ_AGAIN_MS = 60_000;

export const POD_ENVIRONMENT: PodEnvironment = {
  host: process.env.KUBERNETES_SERVICE_HOST,
  port: process.env.KUBERNETES_SERVICE_PORT,
  folder: "/var/run/secrets/kubernetes.io/serviceaccount",
};

export class PodAccess implements ApiAccess {
  readonly server: string;
  readonly hasProxy = false;
  readonly #folder: string;
  #read: { at: number; settings: RequestOptions } | null = null;

  private constructor(server: string, folder: string) {
    this.server = server;
    this.#folder = folder;
  }

  /** Null: this is no pod, or one without a service account. */
  static find({ host, port, folder }: PodEnvironment = POD_ENVIRONMENT): PodAccess | null {
    if (!host || !port || !existsSync(join(folder, "token"))) return null;
    return new PodAccess(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`, folder);
  }

  async settings(): Promise<RequestOptions> {
    if (this.#read === null || performance.now() - this.#read.at > READ_AGAIN_MS) {
      this.#read = { at: performance.now(), settings: this.#readAll() };
    }
    return this.#read.settings;
  }

  #readAll(): RequestOptions {
    const text = (name: string) => readFileSync(join(this.#folder, name), "utf8").trim();
    return { ca: text("ca.crt"), headers: { authorization: `Bearer ${text("token")}` } };
  }
}
