/** For tests: profiles as the profiles' thread makes them, without the thread. */
import { validateProfile } from "../../api/validation/validate.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { profileDraft } from "../profiles/draft.ts";
import { judged, type StoredProfile } from "../profiles/stored-profile.ts";

/** A SecurityProfile `shop/web`. */
export function profileObject(spec: object, metadata: object = {}): KubeObject {
  return {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name: "web", namespace: "shop", uid: "u", generation: 1, labels: { app: "web" }, ...metadata },
    spec,
  };
}

/** As the first revision that is seen. */
export function storedProfile(object: KubeObject): StoredProfile {
  const draft = profileDraft(object);
  const { namespace, name, uid, generation, status, manifest } = draft;
  const { accepted, errors, warnings, meant } = judged(validateProfile(manifest), manifest, draft);
  const key = `${namespace}/${name}`;
  return {
    ...{ key, namespace, name, uid, generation, accepted, errors, warnings, meant, status },
    overBudget: null,
    seenAt: Date.now(),
  };
}
