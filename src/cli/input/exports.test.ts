/** Files of exports: what they leave out, and what is wrong in them, with its place. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readExports } from "./exports.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-exports-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "exports.yaml");

function read(text: string) {
  writeFileSync(path, text);
  return readExports(path);
}

test("what is left out has the values that the page says", () => {
  assert.deepEqual(read("exports: [{ name: a, file: { path: /x/y.json } }]"), [
    {
      ...{ name: "a", allow: [], deny: [], fields: [], queue: 16 * 2 ** 20 },
      to: { kind: "file", path: "/x/y.json", maxSize: 10 * 2 ** 20, maxFiles: 5, compress: false },
    },
  ]);
  assert.deepEqual(read('exports: [{ name: a, otlp: { endpoint: "http://c:4317" } }]')[0]?.to, {
    ...{ kind: "otlp", endpoint: "http://c:4317", protocol: "grpc" },
    ...{ caFile: null, tokenFile: null, headers: {} },
  });
  assert.deepEqual(read("exports: []"), []);
});

test("what is wrong is named, with its place", () => {
  const file = "file: { path: /x/y.json }";
  const wrong: [string, RegExp][] = [
    ["exports: [", /cannot read .*exports\.yaml/],
    ["", /exports\.yaml: the file must be object/],
    ["exports: [{ name: a }]", /exports\.0 .*'(file|otlp)'/],
    [`exports: [{ name: a, ${file}, otlp: { endpoint: "http://c:1" } }]`, /exports\.0 must match exactly one/],
    ['exports: [{ name: a, otlp: { endpoint: "c:4317" } }]', /exports\.0\.otlp\.endpoint must match pattern/],
    ['exports: [{ name: a, otlp: { endpoint: "http://c:x" } }]', /otlp\.endpoint: http:\/\/c:x is no URL/],
    ['exports: [{ name: a, otlp: { endpoint: "http://c:1/x" } }]', /otlp\.endpoint: gRPC has no path/],
    ['exports: [{ name: a, otlp: { endpoint: "http://c:1", tokenFile: /t } }]', /a token is sent over TLS only/],
    [`exports: [{ name: A, ${file} }]`, /exports\.0\.name must match pattern/],
    ["exports: [{ name: a, file: { path: x.json } }]", /exports\.0\.file\.path must match pattern/],
    ["exports: [{ name: a, file: { path: /x, maxSize: 1KiB } }]", /export a: file\.maxSize: 1KiB is too little/],
    [`exports: [{ name: a, queue: 1000KiB, ${file} }]`, /export a: queue: 1000KiB is too little/],
    [`exports: [{ name: a, ${file}, colour: red }]`, /exports\.0 must NOT have additional properties \(colour\)/],
    [`exports: [{ name: a, ${file}, allow: [{ pods: [x] }] }]`, /export a: allow\.0 cannot have "pods"/],
    [`exports: [{ name: a, ${file}, deny: [{ port: [http] }] }]`, /export a: the filter port cannot be "http"/],
    [`exports: [{ name: a, ${file}, fields: [colour] }]`, /export a: records have no field "colour"/],
    [`exports: [{ name: a, ${file} }, { name: a, ${file} }]`, /two exports have the name a/],
    [`exports: [{ name: a, ${file} }, { name: b, ${file} }, { name: c, ${file} }]`, /3 exports go to files; at most 2/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(() => read(text), { code: "PC_EXPORTS_INVALID", message }, text);
  }
  assert.throws(() => readExports(join(folder, "none.yaml")), { message: /cannot read .*none\.yaml: no such file/ });
});
