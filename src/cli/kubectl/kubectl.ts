/** The kubectl that the plugin was called by: its configuration and credentials are the user's, and stay its affair. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { causeCode, PortcullisError } from "../../api/errors.ts";

/** kubectl refused, or there is none. Code PC_KUBECTL; its own words are in the message. */
export class KubectlError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions) {
    super("PC_KUBECTL", message, options);
  }
}

/** The API server does not let this user see what was asked for. */
export function isForbidden({ message }: KubectlError): boolean {
  return /\(Forbidden\)/.test(message);
}

export interface KubectlOptions {
  kubeconfig?: string;
  context?: string;
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

/** An object as kubectl prints it. */
export interface KubeObject {
  metadata: {
    name: string;
    namespace?: string;
    generation?: number;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: { nodeName?: string; dnsPolicy?: string; holderIdentity?: string; renewTime?: string };
  status?: { observedGeneration?: number; conditions?: Condition[]; phase?: string };
}

const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

export class Kubectl {
  readonly #common: readonly string[];

  constructor({ kubeconfig, context }: KubectlOptions) {
    this.#common = [
      ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
      ...(context === undefined ? [] : [`--context=${context}`]),
    ];
  }

  /** What it prints. @throws KubectlError */
  text(...args: string[]): string {
    const options = { encoding: "utf8", maxBuffer: MAX_OUTPUT_BYTES } as const;
    const { error, status, stdout, stderr } = spawnSync("kubectl", [...this.#common, ...args], options);
    if (error !== undefined) throw notRun(error);
    if (status !== 0) throw new KubectlError(`kubectl ${args.slice(0, 2).join(" ")}: ${kubectlWords(stderr)}`);
    return stdout;
  }

  /** One object. @throws KubectlError */
  object(...args: string[]): KubeObject {
    return JSON.parse(this.text("get", ...args, "-o", "json")) as KubeObject;
  }

  /** The objects of a list. @throws KubectlError */
  list(...args: string[]): KubeObject[] {
    return (JSON.parse(this.text("get", ...args, "-o", "json")) as { items: KubeObject[] }).items;
  }

  /** Runs it with this process's terminal; its exit status. @throws KubectlError */
  run(...args: string[]): number {
    const { error, status } = spawnSync("kubectl", [...this.#common, ...args], { stdio: "inherit" });
    if (error !== undefined) throw notRun(error);
    return status ?? 1;
  }

  /** Posts to a path of the API server's; the answer is to be read as it comes. */
  post(path: string, body: string): ChildProcessWithoutNullStreams {
    const child = spawn("kubectl", [...this.#common, "create", "--raw", path, "-f", "-"], { stdio: "pipe" });
    // It may have ended without reading, which its own words explain.
    child.stdin.on("error", () => {});
    child.stdin.end(body);
    return child;
  }
}

export function agents(kubectl: Kubectl, systemNamespace: string, ...more: string[]): KubeObject[] {
  const labels = "app.kubernetes.io/part-of=portcullis,app.kubernetes.io/component=agent";
  return kubectl.list("pods", `--namespace=${systemNamespace}`, `--selector=${labels}`, ...more);
}

/** The namespace that kubectl works in where none is named. @throws KubectlError */
export function contextNamespace(kubectl: Kubectl): string {
  return kubectl.text("config", "view", "--minify", "--output=jsonpath={..namespace}").trim() || "default";
}

/** There is no kubectl to run. */
export function notRun(cause: Error): KubectlError {
  const message =
    causeCode(cause) === "ENOENT" ? "there is no kubectl on the PATH" : `cannot run kubectl: ${cause.message}`;
  return new KubectlError(message, { cause });
}

/** Before its last words kubectl may print its library's log. */
const LOG_LINE = /^[EWI]\d{4} \d\d:\d\d:\d\d.*\]/;

/** What kubectl has to say to a person, with what to do where there is more to be said. */
export function kubectlWords(stderr: string): string {
  const lines = stderr.trim().split("\n");
  const words = lines.filter((line) => !LOG_LINE.test(line)).join("\n");
  const text = words === "" ? stderr.trim() : words;
  const isUnknown = /doesn't have a resource type "securityprofiles?"/.test(text);
  return isUnknown ? `${text}; is Portcullis installed in this cluster?` : text;
}
