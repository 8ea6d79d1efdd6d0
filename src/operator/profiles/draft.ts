/** SecurityProfiles as the API server has them: what is watched of them, and what is read when that has changed. */
import { createHash } from "node:crypto";
import type { KubeObject } from "../../kube/resources.ts";
import type { ProfileStatus } from "./profile-status.ts";

/** What is watched: little, however much a profile says. */
export interface ProfileMetadata {
  uid: string;
  /** Another one for each edit of what is asked for. */
  generation: number;
  labels: Record<string, string>;
}

export function profileMetadata({ metadata }: KubeObject): ProfileMetadata {
  const { uid = "", generation = 0, labels = {} } = metadata;
  return { uid, generation, labels };
}

/** A profile that was read. */
export interface ProfileDraft extends ProfileMetadata {
  namespace: string;
  name: string;
  /** As it would be written in a manifest. */
  manifest: object;
  /** Of the manifest. */
  digest: string;
  /** Of the manifest as JSON. */
  bytes: number;
  /** As the API server has it at the moment. */
  status: Partial<ProfileStatus>;
}

export function profileDraft(object: KubeObject): ProfileDraft {
  const { apiVersion, kind, metadata, spec, status } = object;
  const { name, namespace = "" } = metadata;
  const watched = profileMetadata(object);
  const manifest = { apiVersion, kind, metadata: { name, namespace, labels: watched.labels }, spec };
  const text = JSON.stringify(manifest);
  return {
    ...watched,
    namespace,
    name,
    manifest,
    digest: createHash("sha1").update(text).digest("base64"),
    bytes: Buffer.byteLength(text),
    status: (status ?? {}) as Partial<ProfileStatus>,
  };
}

/** Whether both are of one revision. Labels count, because they may select, and are no part of the generation. */
export function isSameRevision(left: ProfileMetadata, right: ProfileMetadata): boolean {
  return (
    left.uid === right.uid &&
    left.generation === right.generation &&
    JSON.stringify(left.labels) === JSON.stringify(right.labels)
  );
}
