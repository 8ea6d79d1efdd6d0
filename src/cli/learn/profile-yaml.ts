/** A profile as a manifest of one form, whoever wrote it: what is so by default is left out, and ports have one line each. */
import { Document, visit } from "yaml";
import { DIRECTIONS } from "../../api/reasons.ts";
import type { EgressRules, SecurityProfile } from "../../api/types.ts";

export function profileDocument(profile: SecurityProfile): Document {
  const document = new Document(shown(profile), { aliasDuplicateObjects: false });
  visit(document, {
    Map: (_, map) => {
      if (map.has("protocol")) map.flow = true;
    },
  });
  return document;
}

export function documentText(document: Document): string {
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** Without what is so by default, in the order in which the documentation lists it. */
function shown({ apiVersion, kind, metadata, spec }: SecurityProfile) {
  const processes = (spec.processes ?? []).map(({ path, container, binary, network = {}, ...conditions }) => ({
    path,
    ...(container === undefined ? {} : { container }),
    ...(binary === "Any" ? { binary } : {}),
    ...conditions,
    network: Object.fromEntries(
      DIRECTIONS.flatMap((direction) => {
        const rules: EgressRules | undefined = network[direction];
        return rules === undefined ? [] : [[direction, inOrder(rules)]];
      }),
    ),
  }));
  return { apiVersion, kind, metadata, spec: { ...spec, processes } };
}

function inOrder({ fqdns, peers, pods, services, cidr4, cidr6, l3, l4, l7 }: EgressRules) {
  const all = Object.entries({ fqdns, peers, pods, services, cidr4, cidr6, l3, l4, l7 });
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}
