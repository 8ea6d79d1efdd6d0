import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules } from "../../api/types.ts";
import type { Ruleset, RuleTable } from "../table/tables.ts";
import { uniteRulesets } from "../table/unite-rulesets.ts";
import { processOf, profileOf } from "../testing/profiles.ts";
import { compileTable } from "./compile.ts";
import { tableWithSymlinks } from "./symlinks.ts";

const EGRESS: Record<string, EgressRules> = {
  wide: {
    cidr4: ["10.0.0.0/8", "192.168.1.0/24"],
    cidr6: ["fd00::/8"],
    l4: { protocolPorts: [{ protocol: "tcp", port: 80, endPort: 90 }] },
    fqdns: ["*.example.com", "db.internal"],
  },
  narrow: {
    cidr4: ["10.1.0.0/16"],
    l4: { protocols: ["udp"], protocolPorts: [{ protocol: "tcp", port: 85 }] },
    l7: { protocols: ["dns"], dns: ["www.example.com"] },
  },
  any: { cidr4: ["0.0.0.0/0"], l4: { protocols: ["any"] }, fqdns: ["*"] },
};

function rulesetOf(...names: string[]): Ruleset {
  const processes = names.map((name) =>
    profileOf(name, { processes: [processOf("/a", { egress: EGRESS[name] ?? {} })] }),
  );
  const [binary] = compileTable(processes, { searchDomains: ["cluster.local"] }).binaries;
  assert.ok(binary);
  return binary.egress;
}

/** With bits by where their blocks come from, so that their order does not matter. */
function meaning(ruleset: Ruleset): unknown {
  const names = (mask: bigint) =>
    ruleset.blocks
      .filter((_, bit) => (mask & (1n << BigInt(bit))) !== 0n)
      .map(({ profile, field }) => `${profile} ${field}`)
      .sort();
  const { hash: _, blocks, ...content } = ruleset;
  return JSON.parse(
    JSON.stringify({ count: blocks.length, ...content }, (_key, value) =>
      typeof value === "bigint" ? names(value) : value,
    ),
  );
}

test("united rule sets say what their blocks, compiled together, say", () => {
  for (const parts of [
    ["wide", "narrow"],
    ["narrow", "any"],
    ["any", "wide", "narrow"],
  ]) {
    const united = uniteRulesets(
      parts.map((name) => rulesetOf(name)),
      "a",
    );
    assert.deepEqual(meaning(united), meaning(rulesetOf(...parts)), parts.join("+"));
  }
});

test("the same rule set twice is one, and empty ones add nothing", () => {
  const wide = rulesetOf("wide");
  assert.equal(uniteRulesets([wide, wide], "a"), wide);
  assert.equal(uniteRulesets([], "a").hash, "");
});

function tableOf(): RuleTable {
  const listed = [
    processOf("/bin/wget", { egress: EGRESS.wide ?? {} }),
    processOf("/bin/busybox", { egress: EGRESS.narrow ?? {} }),
    processOf("/bin/nc", { egress: EGRESS.any ?? {} }, { container: "tools" }),
  ];
  return compileTable([profileOf("web", { processes: listed })], { searchDomains: [] });
}

const links = (name: string, map: Record<string, string>) => ({
  name,
  ephemeral: false,
  fileOf: (path: string) => map[path] ?? path,
});

test("a link gives its rights to the file that it leads to, in its container only", () => {
  const table = tableOf();
  const fitted = tableWithSymlinks(table, [links("app", { "/bin/wget": "/bin/busybox" }), links("tools", {})]);
  assert.deepEqual(
    fitted.binaries.map(({ path, container }) => [path, container]),
    [
      ["/bin/busybox", null],
      ["/bin/busybox", "app"],
      ["/bin/nc", "tools"],
      ["/bin/wget", null],
    ],
  );
  const entry = fitted.binaries[1];
  assert.deepEqual(entry?.egress.blocks.map(({ field }) => field).sort(), [
    "spec.processes[0].network.egress",
    "spec.processes[1].network.egress",
  ]);
  assert.notEqual(fitted.hash, table.hash);
});

test("what is listed for another container leads nowhere in this one", () => {
  const table = tableOf();
  assert.equal(tableWithSymlinks(table, [links("app", { "/bin/nc": "/bin/busybox" })]), table);
  const fitted = tableWithSymlinks(table, [links("tools", { "/bin/nc": "/bin/toolbox" })]);
  assert.ok(fitted.binaries.some(({ path, container }) => path === "/bin/toolbox" && container === "tools"));
});

test("where ephemeral containers are left out, a link in one has what is listed for it by name", () => {
  const table: RuleTable = { ...tableOf(), ephemeralContainers: "Exclude" };
  const debug = { ...links("app", { "/bin/wget": "/bin/busybox" }), ephemeral: true };
  assert.equal(tableWithSymlinks(table, [debug]), table);
  const tools = { ...links("tools", { "/bin/nc": "/bin/toolbox", "/bin/wget": "/bin/toolbox" }), ephemeral: true };
  const [added] = tableWithSymlinks(table, [tools]).binaries.filter(({ path }) => path === "/bin/toolbox");
  assert.deepEqual(
    added?.egress.blocks.map(({ field }) => field),
    ["spec.processes[2].network.egress"],
  );
});

test("a listed ancestor that is a link in a container stands for the file that it leads to, there", () => {
  const process = processOf("/bin/app", { egress: EGRESS.any ?? {} }, { notAncestors: ["/bin/sh"] });
  const table = compileTable([profileOf("web", { processes: [process] })], { searchDomains: [] });
  const fileOf = (path: string) => (path === "/bin/sh" ? "/bin/busybox" : path);
  const fitted = tableWithSymlinks(table, [
    { name: "alpine", ephemeral: false, fileOf },
    { name: "other", ephemeral: false, fileOf: (path) => path },
  ]);
  const ancestors = fitted.binaries.map(({ container, egress }) => [
    container,
    egress.ancestors.map(({ path }) => path),
  ]);
  assert.deepEqual(ancestors, [
    [null, ["/bin/sh"]],
    ["alpine", ["/bin/busybox", "/bin/sh"]],
  ]);
});
