/** Kinds of objects that the operator reads. */
import { PLURAL } from "../../api/schema/crd.ts";
import { API_GROUP, KIND } from "../../api/types.ts";
import type { ResourceKind } from "../../kube/resources.ts";

export const SECURITY_PROFILES: ResourceKind = {
  group: API_GROUP,
  version: "v1",
  plural: PLURAL,
  kind: KIND,
  namespaced: true,
};

export const DEFINITIONS: ResourceKind = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
};

/** Name of the definition of SecurityProfiles. */
export const DEFINITION = `${PLURAL}.${API_GROUP}`;

export const PODS: ResourceKind = { group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true };

export const NAMESPACES: ResourceKind = {
  group: "",
  version: "v1",
  plural: "namespaces",
  kind: "Namespace",
  namespaced: false,
};

export const SERVICES: ResourceKind = {
  group: "",
  version: "v1",
  plural: "services",
  kind: "Service",
  namespaced: true,
};

export const ENDPOINT_SLICES: ResourceKind = {
  group: "discovery.k8s.io",
  version: "v1",
  plural: "endpointslices",
  kind: "EndpointSlice",
  namespaced: true,
};
