/** `--publish [HOSTPORT:]PORT[/udp]` of `portcullis run`. */
import { UsageError } from "../../api/errors.ts";
import type { PublishedPort } from "../../node-agent/sandbox/private-ruleset.ts";
import { PORT_MAX } from "../../policy/table/ports.ts";

/** Appends a port to those before it. @throws UsageError */
export function collectPublished(text: string, before: PublishedPort[] = []): PublishedPort[] {
  const [, first = "", second = first, protocol = "tcp"] =
    /^(\d{1,5})(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const published = { protocol: protocol as "tcp" | "udp", hostPort: Number(first), port: Number(second) };
  const isPort = (port: number) => port >= 1 && port <= PORT_MAX;
  if (!isPort(published.hostPort) || !isPort(published.port)) {
    throw new UsageError(
      `--publish ${text}: write PORT, HOSTPORT:PORT or PORT/udp, with numbers from 1 to ${PORT_MAX}`,
    );
  }
  return [...before, published];
}
