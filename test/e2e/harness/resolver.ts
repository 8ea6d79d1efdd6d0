/** A resolv.conf of a workload's own, as `ip netns exec` and the agent look for it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DNS_ADDRESSES } from "../../tools/servers/protocol.ts";
import type { Fixture } from "./fixture.ts";

/**
 * To be called before the agent starts.
 * @param options as in resolv.conf
 */
export function addSearchDomains(
  fixture: Fixture,
  app: string,
  domains: readonly string[],
  options = "timeout:1 attempts:1",
): void {
  const folder = join("/etc/netns", fixture.workload(app).name);
  mkdirSync(folder, { recursive: true });
  const lines = [`nameserver ${DNS_ADDRESSES[0]}`, `search ${domains.join(" ")}`, `options ${options}`];
  writeFileSync(join(folder, "resolv.conf"), `${lines.join("\n")}\n`);
}
