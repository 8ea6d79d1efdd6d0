/** Where the servers are, and what the tests and they say to each other. */
import type { Zone } from "./zone.ts";

/** Every one of them has all the servers but DNS. TEST-NET-2 (RFC 5737) and the documentation prefix (RFC 3849). */
export const OUTSIDE_ADDRESSES = [
  "198.51.100.1",
  "198.51.100.2",
  "198.51.100.3",
  "198.51.100.4",
  "2001:db8:1::1",
  "2001:db8:1::2",
] as const;
export const DNS_ADDRESSES = ["198.51.100.53", "2001:db8:1::53"] as const;

/** 53 at an address that is no name server: what pretends to be DNS. 443 takes anything for TLS. */
export const ECHO_PORTS = [53, 443, 5353, 7000, 7001, 7002, 7003, 7004] as const;
export const HTTP_PORTS = [80, 8080] as const;
/** The server speaks first, as in SMTP. */
export const BANNER_PORT = 25;
export const DNS_PORTS = [53, 5353] as const;

export type ServerRequest = { id: number } & (
  | { operation: "zone"; zone: Zone }
  | { operation: "received"; text: string }
  | { operation: "asked"; name: string }
  | {
      operation: "send";
      from: { address: string; port: number };
      to: { address: string; port: number };
      hex: string;
    }
);

/** Id 0: the servers are ready. */
export interface ServerResponse {
  id: number;
  result: unknown;
  error?: string;
}
