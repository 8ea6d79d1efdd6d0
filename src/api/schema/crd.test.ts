import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { CRD_PATH, crdText } from "../../../tools/generate-crd.ts";
import { CIDR4_PATTERN, CIDR6_PATTERN } from "../cidr.ts";
import { NAME_PATTERN } from "../names.ts";
import { CHECKS } from "../validation/checks.ts";
import { customResourceDefinition, kubernetesSchema } from "./crd.ts";
import { SPEC_SCHEMA } from "./schema.ts";
import type { SchemaNode } from "./schema-node.ts";
import { STATUS_SCHEMA } from "./schema-status.ts";

/** Every node of a schema, with its path. */
function nodes(node: SchemaNode, path: string): [string, SchemaNode][] {
  const children = Object.entries(node.properties ?? {}).flatMap(([name, child]) => nodes(child, `${path}.${name}`));
  const items = node.items ? nodes(node.items, `${path}[]`) : [];
  return [[path, node], ...children, ...items];
}

const ALL = [...nodes(SPEC_SCHEMA, "spec"), ...nodes(STATUS_SCHEMA, "status")];

test("the checked-in CRD is what the schema generates", () => {
  assert.equal(readFileSync(CRD_PATH, "utf8"), crdText());
});

test("it reads back as the object that was written", () => {
  assert.deepEqual(parse(crdText()), JSON.parse(JSON.stringify(customResourceDefinition())));
});

test("names, columns and the status subresource", () => {
  const { metadata, spec } = customResourceDefinition();
  assert.equal(metadata.name, "securityprofiles.security.datadoghq.com");
  assert.deepEqual(spec.names.shortNames, ["sp", "secprof"]);
  const [version] = spec.versions;
  assert.deepEqual(version?.subresources, { status: {} });
  const columns = version?.additionalPrinterColumns ?? [];
  const shown = columns.filter(({ priority }) => priority === undefined).map(({ name }) => name);
  assert.deepEqual(shown, ["Mode", "Accepted", "Enforced", "Pods", "Nodes", "Dropped", "Alerted", "Age"]);
  const wide = columns.filter(({ priority }) => priority === 1).map(({ name }) => name);
  assert.deepEqual(wide, ["Reason", "Last Violation"]);
});

test("every field has a description", () => {
  const missing = ALL.filter(([path, node]) => !path.endsWith("[]") && node.description === undefined);
  assert.deepEqual(
    missing.map(([path]) => path),
    [],
  );
});

test("every list, text and map is bounded, so that the API server can bound the cost of the rules", () => {
  const unbounded = ALL.filter(
    ([, node]) =>
      (node.type === "array" && node.maxItems === undefined) ||
      (node.type === "string" && node.maxLength === undefined && !node.enum && node.format !== "date-time") ||
      (node.additionalProperties !== undefined && node.maxProperties === undefined),
  );
  assert.deepEqual(
    unbounded.map(([path]) => path),
    [],
  );
});

test("every list says how it is merged", () => {
  const silent = ALL.filter(([, node]) => node.type === "array" && node["x-kubernetes-list-type"] === undefined);
  assert.deepEqual(
    silent.map(([path]) => path),
    [],
  );
});

test("messages of rules are one line, as the API server demands", () => {
  const rules = ALL.flatMap(([, node]) => node["x-kubernetes-validations"] ?? []);
  assert.ok(rules.length > 0);
  for (const { message } of rules) assert.ok(message.length < 2048 && !message.includes("\n"));
});

test("keywords of ours stay out of the CRD", () => {
  assert.ok(!JSON.stringify(kubernetesSchema(SPEC_SCHEMA)).includes("x-portcullis"));
});

test("what a check accepts, the pattern beside it accepts too", () => {
  const good = {
    name: [NAME_PATTERN, ["*", "*.a", "a.b.", "_x._tcp.a-b", "1.a", "-a.b", `${"a.".repeat(126)}a.`]],
    cidr4: [CIDR4_PATTERN, ["0.0.0.0/0", "255.255.255.255/32", "10.20.30.40/9"]],
    cidr6: [CIDR6_PATTERN, ["::/0", "2001:DB8::/32", "64:ff9b::1.2.3.4/128", "1:2:3:4:5:6:7:8/128"]],
  } as const;
  for (const [check, [pattern, texts]] of Object.entries(good)) {
    for (const text of texts) {
      assert.equal(CHECKS[check as keyof typeof good](text), null, text);
      assert.match(text, new RegExp(pattern, "u"));
    }
  }
});
