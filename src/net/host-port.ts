/** Addresses as people and charts write them: `host:port`. */
import { isIPv6 } from "node:net";

export interface HostPort {
  /** Without brackets. */
  host: string;
  port: number;
}

/**
 * Reads `host:port`. An IPv6 address may do without brackets, as in `$(SERVICE_HOST):$(SERVICE_PORT)`: the port is never left out.
 * Null: it is no such text.
 */
export function parseHostPort(text: string): HostPort | null {
  const [, written = "", digits = ""] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  const host = written.replace(/^\[(.*)\]$/, "$1");
  const port = Number(digits);
  const isHost = host === written ? isIPv6(host) || /^[^:[\]\s]+$/.test(host) : isIPv6(host);
  return isHost && port <= 65_535 ? { host, port } : null;
}

/** With brackets where others would take the address for more than the host. */
export function formatHostPort({ host, port }: HostPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
