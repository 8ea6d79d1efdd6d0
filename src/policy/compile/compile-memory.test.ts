import assert from "node:assert/strict";
import { test } from "node:test";
import { normalizeProfile } from "../../api/normalize.ts";
import type { SecurityProfile, SecurityProfileSpec } from "../../api/types.ts";
import type { PeerPrefixes, PeerResolver } from "../table/peers.ts";
import { parsePrefix } from "../table/prefixes.ts";
import { Random } from "../testing/random.ts";
import { compileTable } from "./compile.ts";
import { CompileMemory } from "./compile-memory.ts";

function profile(name: string, spec: SecurityProfileSpec): SecurityProfile {
  return normalizeProfile({ metadata: { name, namespace: "shop", labels: { app: "web" } }, spec } as never).profile;
}

/** Peers whose addresses are others when they are set anew, and the same objects until then. */
class Peers implements PeerResolver {
  readonly #prefixes = new Map<string, PeerPrefixes>();

  set(app: string, addresses: string[]): void {
    const cidrs4 = addresses.map((address) => parsePrefix(`${address}/32`, "ipv4"));
    this.#prefixes.set(app, { cidrs4, cidrs6: [] });
  }

  pods({ podSelector }: Parameters<PeerResolver["pods"]>[0]): PeerPrefixes {
    const prefixes = this.#prefixes.get(podSelector?.matchLabels?.app ?? "");
    assert.ok(prefixes !== undefined);
    return prefixes;
  }

  service(): PeerPrefixes {
    return { cidrs4: [], cidrs6: [] };
  }
}

const APPS = ["a", "b", "c"];

function randomSpec(random: Random): SecurityProfileSpec {
  const network = () => ({
    egress: {
      cidr4: [`10.${random.below(4)}.0.0/16`],
      fqdns: [`w${random.below(3)}.example.com`],
      pods: [{ podSelector: { matchLabels: { app: APPS[random.below(3)] as string } } }],
      l4: { protocolPorts: [{ protocol: "tcp" as const, port: 1 + random.below(5) }] },
    },
    ...(random.below(2) === 0 ? {} : { ingress: { cidr4: ["192.0.2.0/24"] } }),
  });
  return {
    actions: ["enforce"],
    ...(random.below(3) === 0 ? { default: network() } : {}),
    processes: Array.from({ length: random.below(3) }, (_, index) => ({
      path: `/bin/${random.below(3)}${index}`,
      ...(random.below(3) === 0 ? { container: "app" } : {}),
      network: network(),
    })),
  };
}

test("what is compiled upon an earlier table is what would be compiled anew, whatever has changed", () => {
  const random = new Random(7);
  const peers = new Peers();
  for (const app of APPS) peers.set(app, [`192.0.2.${random.below(9)}`]);
  const memory = new CompileMemory();
  const profiles = new Map<string, SecurityProfile>();
  let domains = ["x.example"];
  for (let turn = 0; turn < 400; turn += 1) {
    const name = `p${random.below(6)}`;
    const what = random.below(5);
    if (what === 0) profiles.delete(name);
    else if (what === 1) peers.set(APPS[random.below(3)] as string, [`192.0.2.${random.below(9)}`, "192.0.2.200"]);
    else if (what === 2 && random.below(5) === 0) domains = [`d${random.below(3)}.example`];
    else profiles.set(name, profile(name, randomSpec(random)));
    const all = [...profiles.values()];
    const options = { searchDomains: domains, peers };
    assert.deepEqual(compileTable(all, { ...options, memory }), compileTable(all, options), `turn ${turn}`);
  }
});

test("one edit among three hundred profiles on the same pods costs a small part of all", () => {
  const cidr4 = Array.from({ length: 100 }, (_, index) => `10.0.${index}.0/24`);
  const make = (index: number, port: number) =>
    profile(`p${index}`, {
      processes: [
        { path: `/bin/${index}`, network: { egress: { cidr4, l4: { protocolPorts: [{ protocol: "tcp", port }] } } } },
      ],
    });
  const profiles = Array.from({ length: 300 }, (_, index) => make(index, 1));
  const memory = new CompileMemory();
  const time = (work: () => void) => {
    const start = performance.now();
    work();
    return performance.now() - start;
  };
  const whole = Math.min(...[1, 2, 3].map(() => time(() => compileTable(profiles, { searchDomains: [] }))));
  compileTable(profiles, { searchDomains: [], memory });
  const edits = Array.from({ length: 20 }, (_, index) => {
    profiles[index * 7] = make(index * 7, 2);
    return time(() => compileTable(profiles, { searchDomains: [], memory }));
  });
  const edit = edits.sort((left, right) => left - right)[10] as number;
  console.log(`all ${whole.toFixed(1)} ms, one edit ${edit.toFixed(2)} ms, 1/${(whole / edit).toFixed(0)} of it`);
  assert.ok(edit * 5 < whole, `an edit takes ${edit} ms, all ${whole} ms`);
});
