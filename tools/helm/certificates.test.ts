/** The ways to certificates: by Helm, by cert-manager, one's own, and by a script for config/. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { CHART, CHART_NAMESPACE, type Manifest, only, renderChart } from "./chart.ts";
import { helmBinary } from "./helm.ts";

const helm = helmBinary() ?? "";
const skip = helm === "" ? "there is neither helm nor Go to build it with" : false;

test("certificates by Helm: the operator has the key, agents have the certificate alone", { skip }, () => {
  const objects = renderChart(helm);
  const secret = only(objects, "Secret");
  assert.deepEqual(Object.keys(secret.data).sort(), ["ca.crt", "tls.crt", "tls.key"]);
  const expires = new X509Certificate(Buffer.from(secret.data["tls.crt"], "base64")).validTo;
  const noted = Number(secret.metadata.annotations?.["portcullis/expires"]) * 1000;
  assert.ok(Math.abs(noted - Date.parse(expires)) < 60_000, "an upgrade sees when it ends, and renews it before");
  const ca = only(objects, "ConfigMap");
  assert.equal(ca.data["ca.crt"].trim(), Buffer.from(secret.data["ca.crt"], "base64").toString().trim());
  const agent = JSON.stringify(only(objects, "DaemonSet"));
  assert.equal(agent.includes(secret.metadata.name), false);
});

test("certificates by cert-manager, or one's own", { skip }, () => {
  const kinds = (...settings: string[]) => {
    const objects = renderChart(helm, ...settings);
    return objects
      .filter(({ kind }) => ["Secret", "Issuer", "Certificate"].includes(kind))
      .map(({ kind }) => kind)
      .sort();
  };
  assert.deepEqual(kinds("tls.mode=certManager"), ["Certificate", "Certificate", "Issuer", "Issuer"]);
  assert.deepEqual(kinds("tls.mode=certManager", "tls.certManager.issuerRef.name=mine"), ["Certificate"]);
  assert.deepEqual(kinds("tls.mode=existing", "tls.existingSecret=mine"), []);
  assert.throws(() => renderChart(helm, "tls.mode=existing"), /tls.existingSecret has to name a Secret/);
});

/** Of cert-manager's API, what a Certificate may have, and the values that are taken. */
const CERTIFICATE_FIELDS: Readonly<Record<string, RegExp>> = {
  secretName: /^[a-z0-9-]+$/,
  commonName: /^.{1,64}$/,
  dnsNames: /^\["[a-z0-9.-]+"(,"[a-z0-9.-]+")*\]$/,
  isCA: /^true$/,
  duration: /^\d+h$/,
  usages: /^\["server auth","digital signature","key encipherment"\]$/,
  "privateKey.algorithm": /^(RSA|ECDSA|Ed25519)$/,
  "privateKey.size": /^(256|384|521)$/,
  "privateKey.rotationPolicy": /^(Never|Always)$/,
  "issuerRef.name": /^[a-z0-9-]+$/,
  "issuerRef.kind": /^(Issuer|ClusterIssuer)$/,
  "issuerRef.group": /^cert-manager\.io$/,
};

test("certificates by cert-manager have fields and values that its API knows", { skip }, () => {
  const name = "n".repeat(50);
  const objects = renderChart(helm, "tls.mode=certManager", `fullnameOverride=${name}`);
  const certificates = objects.filter(({ kind }) => kind === "Certificate");
  for (const { apiVersion, spec } of certificates) {
    assert.equal(apiVersion, "cert-manager.io/v1");
    for (const [path, value] of fieldsOf(spec)) {
      assert.match(value, CERTIFICATE_FIELDS[path] ?? /^$/, `${path}: ${value}`);
    }
  }
  const issuers = objects.filter(({ kind }) => kind === "Issuer");
  assert.deepEqual(
    issuers.map(({ spec }) => spec),
    [{ selfSigned: {} }, { ca: { secretName: `${name}-ca` } }],
  );
  const made = certificates.map(({ spec }) => spec.secretName);
  for (const { spec } of certificates) assert.ok(issuers.some(({ metadata }) => metadata.name === spec.issuerRef.name));
  assert.ok(made.includes(`${name}-ca`), "the Secret that the second issuer signs with");
  const operator = `${name}-operator`;
  const { volumes } = only(objects, "Deployment", operator).spec.template.spec;
  assert.ok(made.includes(volumes.find(({ name: volume }: { name: string }) => volume === "tls").secret.secretName));
});

/** Path and text of each value; lists as one. */
function fieldsOf(value: object, prefix = ""): [string, string][] {
  return Object.entries(value).flatMap(([key, inner]): [string, string][] => {
    if (typeof inner === "object" && !Array.isArray(inner)) return fieldsOf(inner, `${prefix}${key}.`);
    return [[`${prefix}${key}`, typeof inner === "object" ? JSON.stringify(inner) : String(inner)]];
  });
}

test("the certificate for config/ is one that agents take", () => {
  const manifest = parse(execFileSync(join(CHART, "../../config/make-certificate"), { encoding: "utf8" })) as Manifest;
  const bytes = (key: string) => Buffer.from(manifest.data[key], "base64");
  const [authority, certificate] = [new X509Certificate(bytes("ca.crt")), new X509Certificate(bytes("tls.crt"))];
  assert.ok(certificate.verify(authority.publicKey));
  assert.equal(
    certificate.checkHost(`portcullis-operator.${CHART_NAMESPACE}.svc`),
    `portcullis-operator.${CHART_NAMESPACE}.svc`,
  );
  assert.ok(certificate.checkPrivateKey(createPrivateKey(bytes("tls.key"))));
});
