/** How a command says that it has failed. */
import { styleText } from "node:util";
import type { ErrorCode } from "../api/error-codes.ts";
import type { PortcullisError } from "../api/errors.ts";
import { printableLines } from "../api/printable.ts";
import { fold } from "../terminal/fit.ts";
import { lineWidth } from "../terminal/width.ts";

/** Other rooms name settings; the flags that set them are known here. */
const FLAGS: Partial<Record<ErrorCode, string>> = {
  PC_AGENT_RUNNING: "--pin-root",
  PC_GATE_CGROUP: "--gate",
  PC_KUBE_CONFIG: "--kubeconfig, --context",
  PC_LISTEN: "--listen-address, --metrics-address, --probe-address, --observe-address",
  PC_NETNS_ARGUMENT: "--netns",
  PC_OTHER_NAMESPACE: "--pin-root",
  PC_PINS_INCOMPATIBLE: "portcullis detach --all --pin-root, --replace-pins",
  PC_PINS_INCOMPLETE: "portcullis detach --all --pin-root",
  PC_SETTINGS_CONFLICT: "--fqdn-min-ttl, --fqdn-max-ttl, --dns-port",
};

/** For standard error: what happened, the flags that are concerned, and the code by which it is known. Red, and folded, where that is a terminal. */
export function errorLine({ message, code }: PortcullisError): string {
  const flags = FLAGS[code] === undefined ? "" : ` (${FLAGS[code]})`;
  const text = `${styleText("red", "error", { stream: process.stderr })}: ${printableLines(message)}${flags} [${code}]`;
  const width = lineWidth(process.stderr);
  return `${text
    .split("\n")
    .flatMap((line) => fold(line, width, 2))
    .join("\n")}\n`;
}
