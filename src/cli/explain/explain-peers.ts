/** Selected peers in `portcullis explain`: which pod or Service has the remote address, as the caller says. */
import { UsageError } from "../../api/errors.ts";
import { type Address, familyAddress, familyOf } from "../../policy/table/addresses.ts";
import {
  matchesPodPeer,
  NAMESPACE_NAME_LABEL,
  type PeerPrefixes,
  type PeerResolver,
} from "../../policy/table/peers.ts";
import { ADDRESS_BITS } from "../../policy/table/prefixes.ts";

export interface PeerOptions {
  namespace: string;
  peerLabel: string[];
  peerNamespace?: string;
  peerNamespaceLabel: string[];
  peerService?: string;
}

const NOBODY: PeerPrefixes = { cidrs4: [], cidrs6: [] };

/**
 * Knows one address, the remote one, and what it belongs to.
 * @throws UsageError for labels that are none
 */
export function remotePeer(options: PeerOptions, remote: Address | null): PeerResolver {
  const { namespace, peerLabel, peerNamespace, peerNamespaceLabel, peerService } = options;
  const isPod = peerLabel.length > 0 || peerNamespace !== undefined || peerNamespaceLabel.length > 0;
  const pod = { namespace: peerNamespace ?? namespace, labels: labelsOf(peerLabel, "--peer-label") };
  const namespaceLabels = {
    [NAMESPACE_NAME_LABEL]: pod.namespace,
    ...labelsOf(peerNamespaceLabel, "--peer-namespace-label"),
  };
  const service = peerService === undefined || peerService.includes("/") ? peerService : `${namespace}/${peerService}`;
  const itself = remote === null ? NOBODY : prefixOf(remote);
  return {
    pods: (peer, own) => (isPod && matchesPodPeer(peer, own, pod, namespaceLabels) ? itself : NOBODY),
    service: (peer, own) => (service === `${peer.namespace ?? own}/${peer.name}` ? itself : NOBODY),
  };
}

/** `key=value` texts as labels. */
export function labelsOf(texts: readonly string[], option: string): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf("=");
      if (equals <= 0) throw new UsageError(`${option} ${text}: write key=value`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function prefixOf(remote: Address): PeerPrefixes {
  const family = familyOf(remote);
  const prefix = { address: familyAddress(remote, family), length: ADDRESS_BITS[family] };
  return family === "ipv4" ? { cidrs4: [prefix], cidrs6: [] } : { cidrs4: [], cidrs6: [prefix] };
}
