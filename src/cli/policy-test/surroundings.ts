/** What a policy test says about the world around a pod: who has which address, and what names mean. */
import { DEFAULT_NAMESPACE } from "../../api/normalize.ts";
import { type Address, familyAddress, familyOf, parseIp } from "../../policy/table/addresses.ts";
import {
  type LabelledPod,
  matchesPodPeer,
  NAMESPACE_NAME_LABEL,
  type PeerPrefixes,
  type PeerResolver,
} from "../../policy/table/peers.ts";
import { ADDRESS_BITS, type Prefix } from "../../policy/table/prefixes.ts";
import type { PolicyTest, TestPod } from "./format.ts";

/** Addresses of a host that a case names. `name`: they have to be resolved from it. */
export interface Host {
  addresses: Address[];
  name: string | null;
}

/** The pod as selectors see it. */
export function labelledPod({ namespace = DEFAULT_NAMESPACE, labels = {} }: TestPod): LabelledPod {
  return { namespace, labels };
}

/** Whom the rules on pods and Services mean. */
export function peersOf({ pods, services = {} }: PolicyTest): PeerResolver {
  const addressesOf = (names: readonly string[]) => names.flatMap((name) => pods[name]?.addresses ?? []);
  return {
    pods: (peer, own) => {
      const meant = Object.values(pods).filter((pod) => {
        const labelled = labelledPod(pod);
        const namespaceLabels = { [NAMESPACE_NAME_LABEL]: labelled.namespace, ...pod.namespaceLabels };
        return matchesPodPeer(peer, own, labelled, namespaceLabels);
      });
      return prefixesOf(meant.flatMap(({ addresses = [] }) => addresses));
    },
    service: (peer, own) => {
      const { addresses = [], pods: behind = [] } = services[`${peer.namespace ?? own}/${peer.name}`] ?? {};
      return prefixesOf([...addresses, ...addressesOf(behind)]);
    },
  };
}

/** The host that a case names: an address, a pod, or a DNS name; or what is wrong. */
export function hostOf({ pods, names = {} }: PolicyTest, text: string): Host | string {
  const address = parseIp(text);
  if (address !== null) return { addresses: [address], name: null };
  const pod = Object.hasOwn(pods, text) ? pods[text] : undefined;
  if (pod !== undefined) {
    const { addresses = [] } = pod;
    if (addresses.length === 0) return `the pod ${text} has no address; add pods.${text}.addresses`;
    return { addresses: parsed(addresses), name: null };
  }
  const listed = Object.hasOwn(names, text) ? names[text] : undefined;
  if (listed !== undefined) return { addresses: parsed(listed), name: text };
  return `"${text}" is no address, no pod and no name of this test; add it to pods or names`;
}

function parsed(addresses: readonly string[]): Address[] {
  return addresses.map(parseIp).filter((address) => address !== null);
}

function prefixesOf(addresses: readonly string[]): PeerPrefixes {
  const ofFamily = (family: "ipv4" | "ipv6"): Prefix[] =>
    parsed(addresses)
      .filter((address) => familyOf(address) === family)
      .map((address) => ({ address: familyAddress(address, family), length: ADDRESS_BITS[family] }));
  return { cidrs4: ofFamily("ipv4"), cidrs6: ofFamily("ipv6") };
}
