/** resolv.conf, as resolv.conf(5) has it. Pure. */

import { isIP } from "node:net";

export interface ResolverConfiguration {
  /** Addresses in order, as written; glibc asks the first three. */
  nameservers: string[];
  /** Search domains of the last `search` or `domain` line; null where there is none. */
  search: string[] | null;
  /** The words of all `options` lines. */
  options: string[];
}

/** How many name servers a resolver asks: MAXNS of glibc's <resolv.h>. */
export const MAX_NAMESERVERS = 3;

/** Reads what concerns us; unknown keywords and malformed lines count for nothing, as in libc. */
export function parseResolvConf(text: string): ResolverConfiguration {
  const configuration: ResolverConfiguration = { nameservers: [], search: null, options: [] };
  for (const line of text.split("\n")) {
    // A keyword begins in the first column; comments begin there too.
    if (!/^[a-z]/.test(line)) continue;
    const [keyword, ...words] = line.trim().split(/\s+/);
    const [first] = words;
    if (keyword === "nameserver" && first !== undefined) configuration.nameservers.push(first);
    else if (keyword === "search" && first !== undefined) configuration.search = words;
    else if (keyword === "domain" && first !== undefined) configuration.search = [first];
    else if (keyword === "options") configuration.options.push(...words);
  }
  return configuration;
}

/**
 * The domains that a resolver appends to names, in order, lower case and without the trailing dot. Without a `search`
 * or `domain` line it is what follows the first dot of the host's name.
 */
export function searchDomains(configuration: ResolverConfiguration, hostname: string): string[] {
  const dot = hostname.indexOf(".");
  const domains = configuration.search ?? (dot < 0 ? [] : [hostname.slice(dot + 1)]);
  const normalized = domains.map((domain) => domain.toLowerCase().replace(/\.$/, "")).filter((domain) => domain !== "");
  return [...new Set(normalized)];
}

/** Addresses of its name servers that are any, without zones: what a resolver may ask. */
export function nameServers({ nameservers }: ResolverConfiguration): string[] {
  const addresses = nameservers.map((written) => written.replace(/%.*$/, "")).filter((text) => isIP(text) !== 0);
  return [...new Set(addresses)];
}

/** The text of a resolv.conf that says this. */
export function formatResolvConf({ nameservers, search, options }: ResolverConfiguration): string {
  const lines = nameservers.map((address) => `nameserver ${address}`);
  if (search !== null && search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}
