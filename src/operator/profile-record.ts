/** What is kept of a SecurityProfile: what the validator looks at, and what the status has to go on from. */
import type { KubeObject } from "../kube/resources.ts";
import type { ProfileStatus } from "./status/profile-status.ts";

export interface ProfileRecord {
  namespace: string;
  name: string;
  uid: string;
  generation: number;
  /** As it would be written in a manifest. */
  manifest: {
    apiVersion: unknown;
    kind: unknown;
    metadata: { name: string; namespace: string; labels: Record<string, string> };
    spec: unknown;
  };
  /** As it was when the profile was seen last. */
  status: Partial<ProfileStatus>;
}

export function profileRecord(object: KubeObject): ProfileRecord {
  const { apiVersion, kind, metadata, spec, status } = object;
  const { name, namespace = "", uid = "", generation = 0, labels = {} } = metadata;
  return {
    namespace,
    name,
    uid,
    generation,
    manifest: { apiVersion, kind, metadata: { name, namespace, labels }, spec },
    status: (status ?? {}) as Partial<ProfileStatus>,
  };
}

/** Whether they ask for the same. Labels count, because they may select; the status does not. */
export function asksForTheSame(left: ProfileRecord, right: ProfileRecord): boolean {
  return (
    left.uid === right.uid &&
    left.generation === right.generation &&
    JSON.stringify(left.manifest) === JSON.stringify(right.manifest)
  );
}
