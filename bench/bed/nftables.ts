/** What an administrator would write in nftables for the same rules, without the processes. */
import { feedInNamespace } from "./network.ts";
import { prefixes } from "./profiles.ts";
import { LANE_PORTS } from "./traffic.ts";

/** On a node: its workloads may reach `count` prefixes on the lanes' ports. Replies by connection tracking. */
export function equalRules(node: string, count: number): void {
  const ports = `${LANE_PORTS.port}-${LANE_PORTS.endPort}`;
  const rules = `
    table ip bench {
      set peers { type ipv4_addr; flags interval; elements = { ${prefixes(count).join(", ")} } }
      chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ip daddr @peers meta l4proto { tcp, udp } th dport ${ports} accept
      }
    }
  `;
  feedInNamespace(node, rules, "nft", "-f", "-");
}
