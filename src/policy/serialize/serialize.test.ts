import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTable } from "../compile/compile.ts";
import { processOf, profileOf } from "../testing/profiles.ts";
import { parseTable, serializeTable } from "./serialize.ts";

const egress = {
  cidr4: ["10.0.0.0/8"],
  cidr6: ["2001:db8::/32"],
  fqdns: ["*.example.com"],
  l4: { protocols: ["icmp" as const], protocolPorts: [{ protocol: "tcp" as const, port: 80, endPort: 90 }] },
  l7: { protocols: ["dns" as const] },
};
const profile = profileOf("web", {
  actions: ["alert"],
  attacks: ["arp-spoofing"],
  default: { egress: { l3: { protocols: ["arp"] } } },
  processes: [processOf("/bin/a", { egress }), processOf("/bin/b", { egress }, { container: "side" })],
});
const table = compileTable([profile], { searchDomains: ["svc.local"] });

test("what is written is read back", () => {
  assert.deepEqual(parseTable(serializeTable(table)), table);
  const bare = compileTable([], { searchDomains: [] });
  assert.deepEqual(parseTable(serializeTable(bare)), bare);
});

test("rule sets with one content are written once", () => {
  assert.equal(table.binaries[0]?.egress.hash, table.binaries[1]?.egress.hash);
  assert.equal(serializeTable(table).match(/"2001:db8::"/g)?.length, 1);
});

test("what was cut off, edited, or is of another format is refused, and the field is named", () => {
  const text = serializeTable(table);
  const refused = (changed: string, message: RegExp) =>
    assert.throws(() => parseTable(changed), { code: "PC_TABLE_FORMAT", message });
  refused(text.slice(0, -5), /not JSON/);
  refused("[]", /table is not an object/);
  refused(text.replace('"format":2', '"format":1'), /format 1, this version reads 2/);
  refused(text.replace('"10.0.0.0"', '"11.0.0.0"'), /does not have the content/);
  refused(text.replace('"/bin/a"', '"/bin/z"'), /does not have the content/);
  refused(text.replace('"alert"', '"warn"'), /actions is not one of/);
  refused(text.replace('"mask":"0x1"', '"mask":"1"'), /mask is not a hex mask/);
  refused(text.replace('"prefixLength":8', '"prefixLength":-1'), /prefixLength is not a whole number/);
});
