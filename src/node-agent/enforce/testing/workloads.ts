/** Workloads and tables to test with. */
import pino from "pino";
import type { SecurityProfile } from "../../../api/types.ts";
import { compileTable } from "../../../policy/compile/compile.ts";
import type { RuleTable } from "../../../policy/table/tables.ts";
import type { Workload } from "../../discovery/workload.ts";

export const SILENT = pino({ level: "silent" });

/** A workload whose interface, addresses and namespace follow from its number. */
export function testWorkload(number: number, changes: Partial<Workload> = {}): Workload {
  return {
    name: `w${number}`,
    namespace: "default",
    labels: { app: `w${number}` },
    netnsPath: `/run/netns/w${number}`,
    netnsInum: 4026530000 + number,
    nsid: number,
    interfaces: [
      { name: "eth0", mac: `02:00:00:00:00:0${number}`, hostIfindex: 10 + number, hostIfname: `veth${number}` },
    ],
    addresses: [`10.0.0.${number}`],
    searchDomains: [],
    resolvers: [],
    containers: [],
    problems: [],
    ...changes,
  };
}

/** A table of one profile that lets `path` connect to `cidrs`. */
export function testTable(
  path: string,
  cidrs: string[] = ["10.0.0.0/8"],
  spec: Partial<SecurityProfile["spec"]> = {},
): RuleTable {
  const profile: SecurityProfile = {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name: "p", namespace: "default", labels: { app: "p" } },
    spec: {
      actions: ["enforce"],
      processes: [{ path, network: { egress: { cidr4: cidrs, l4: { protocols: ["tcp"] } } } }],
      ...spec,
    },
  };
  return compileTable([profile], { searchDomains: [] });
}
