/** `host:port/protocol`, as questions name the other side. */
import { PORT_MAX, PROTOCOL_NUMBERS } from "../../policy/table/ports.ts";

export interface EndpointText {
  /** An address, or a name. */
  host: string;
  /** IANA's number. */
  protocol: number;
  /** 0 for protocols without ports. */
  port: number;
}

const WITH_PORTS = new Set<number>([PROTOCOL_NUMBERS.tcp, PROTOCOL_NUMBERS.udp, PROTOCOL_NUMBERS.sctp]);

/**
 * `host[:port][/protocol]`, an IPv6 address with a port in brackets; the protocol is tcp where none is given.
 * @returns its parts, or what is wrong with it
 */
export function parseEndpointText(text: string): EndpointText | string {
  const [place = "", protocolText = "tcp", ...more] = text.split("/");
  // Without brackets, more than one colon is an IPv6 address without a port.
  const [, host = place, digits] =
    /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(place) ?? /^([^[\]:]+)(?::(\d{1,5}))?$/.exec(place) ?? [];
  if (host === "" || more.length > 0) return FORM;
  const protocol = protocolNumber(protocolText);
  if (protocol === null) {
    return `the protocol is one of ${Object.keys(PROTOCOL_NUMBERS).join(", ")}, or a number to 255`;
  }
  const fault = portFault(protocol, digits, protocolText);
  return fault ?? { host, protocol, port: Number(digits ?? 0) };
}

/** The form in words, with examples. */
export const FORM = "write address:port/protocol, e.g. 10.0.0.7:80/tcp or [2001:db8::1]:53/udp";

/** `port/protocol`: a port of the workload's own. @returns its parts, or what is wrong with it */
export function parsePortText(text: string): Omit<EndpointText, "host"> | string {
  const [, digits, name = "tcp"] = /^(\d{1,5})(?:\/([a-z]+))?$/.exec(text) ?? [];
  if (digits === undefined) return "write port/protocol, e.g. 8080/tcp";
  const protocol = protocolNumber(name);
  if (protocol === null || !WITH_PORTS.has(protocol)) return "the protocol is one of tcp, udp, sctp";
  return portFault(protocol, digits, name) ?? { protocol, port: Number(digits) };
}

function portFault(protocol: number, digits: string | undefined, protocolText: string): string | null {
  const port = Number(digits ?? 0);
  if (port > PORT_MAX) return `ports end at ${PORT_MAX}`;
  const hasPorts = WITH_PORTS.has(protocol);
  if (hasPorts && port === 0) return "which port? write address:port/protocol";
  return !hasPorts && port !== 0 ? `${protocolText} has no ports` : null;
}

function protocolNumber(text: string): number | null {
  const known: Record<string, number> = PROTOCOL_NUMBERS;
  if (Object.hasOwn(known, text)) return known[text] as number;
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : null;
}
