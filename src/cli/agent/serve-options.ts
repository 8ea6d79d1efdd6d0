/** Options of the agent for clients of Hubble. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { Command } from "commander";
import { UnreadableError, UsageError } from "../../api/errors.ts";
import type { ServeSettings } from "../../hubble/server.ts";
import { parseHostPort } from "../../net/host-port.ts";
import { packageVersion } from "../package-version.ts";

export interface ServeOptions {
  serve?: string;
  serveCertificate?: string;
  serveKey?: string;
  serveClientCa?: string;
  recordsSize: number;
}

export function addServeOptions(command: Command): Command {
  return command
    .option(
      "--serve <address>",
      "answer Hubble's clients here: unix:PATH, or host:port; by another address than the loopback only with certificates",
    )
    .option("--serve-certificate <file>", "certificate that they are shown")
    .option("--serve-key <file>", "its key")
    .option("--serve-client-ca <file>", "authorities that their own certificates are checked against");
}

/** Null: nobody is served. @throws UsageError, UnreadableError */
export function serveOf(options: ServeOptions): ServeSettings | null {
  const { serve: address, serveCertificate, serveKey, serveClientCa, recordsSize } = options;
  const files = [serveCertificate, serveKey, serveClientCa].filter((file) => file !== undefined);
  if (address === undefined) {
    if (files.length > 0) throw new UsageError("certificates are for those who are served; give --serve ADDRESS, too");
    return null;
  }
  if (recordsSize === 0)
    throw new UsageError("--serve: nothing can be asked for where no records are kept (--records-size 0)");
  const isUnix = /^unix:.+/.test(address);
  const host = parseHostPort(address)?.host ?? null;
  if (!isUnix && host === null)
    throw new UsageError(`--serve: ${address} is not an address; write unix:PATH, or host:port`);
  const version = packageVersion();
  if (files.length === 3) {
    const [certificate = "", key = "", clientCa = ""] = files.map(readPem);
    return { address, certificates: { certificate, key, clientCa }, version };
  }
  if (files.length > 0) {
    throw new UsageError("--serve-certificate, --serve-key and --serve-client-ca belong together; give all three");
  }
  if (!isUnix && !isLoopback(host ?? "")) {
    throw new UsageError(
      `--serve: who reaches ${address} could read what every workload of this node does; give 127.0.0.1, unix:PATH, or certificates (--serve-certificate, --serve-key, --serve-client-ca)`,
    );
  }
  return { address, certificates: null, version };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function readPem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new UnreadableError(file, cause);
  }
}
