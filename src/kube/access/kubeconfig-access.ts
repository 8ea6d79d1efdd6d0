/** Access by a kubeconfig, with all that it may say (certificates, tokens, exec plugins, proxies): the Kubernetes client's affair. */
import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { causeText } from "../../api/errors.ts";
import { KubeConfigError } from "../errors.ts";
import type { ApiAccess } from "./access.ts";

export interface KubeconfigOptions {
  /** File; KUBECONFIG or ~/.kube/config where absent, as with kubectl. */
  kubeconfig?: string;
  context?: string;
}

/** @throws KubeConfigError where there is no usable configuration */
export function kubeconfigAccess({ kubeconfig, context }: KubeconfigOptions): ApiAccess {
  const config = loaded(kubeconfig);
  if (context !== undefined) {
    if (config.getContextObject(context) === null) {
      const known = config.getContexts().map(({ name }) => name);
      throw new KubeConfigError(`there is no context ${context}; there are: ${known.join(", ") || "none"}`);
    }
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (!cluster?.server) {
    throw new KubeConfigError("no cluster is configured; set KUBECONFIG, name a kubeconfig, or run in a pod");
  }
  return {
    server: cluster.server.replace(/\/$/, ""),
    hasProxy: cluster.proxyUrl !== undefined,
    settings: async () => {
      const settings: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(settings);
      return settings;
    },
  };
}

function loaded(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
  } catch (cause) {
    const message = `cannot read the kubeconfig${file ? ` ${file}` : ""}: ${causeText(cause)}`;
    throw new KubeConfigError(message, { cause });
  }
  return config;
}
