/**
 * The resolvers that programs bring along, each with its habits: glibc asks for A and AAAA from one port, musl all name servers at
 * once, Go from two sockets with EDNS, Node by way of glibc or of c-ares, busybox for one type after the other. All go through the
 * search list of a pod, and ask again over TCP what did not fit a datagram (cilium/cilium#31197, #30984 and kubernetes/kubernetes#56903 are
 * about how policies for names and such habits do not go together).
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile, RESOLVER } from "../e2e/harness/profiles.ts";
import { addSearchDomains } from "../e2e/harness/resolver.ts";

const NODE = realpathSync(process.execPath);
const SEARCH = ["web.svc.cluster.test", "svc.cluster.test", "cluster.test"];
const RULES: EgressRules = {
  cidr4: [...RESOLVER.cidr4],
  fqdns: ["db.prod.svc.cluster.test", "*.example.com"],
  l4: { protocolPorts: [...RESOLVER.ports, { protocol: "tcp", port: 7000 }, { protocol: "tcp", port: 80 }] },
};
const HIDDEN = "hidden.example.net";
const SOURCES = join(import.meta.dirname, "../tools/lookup");
const BUILD = join(import.meta.dirname, "../../build/test/lookup");

/** Exchanges a word with each address that a function of node:dns finds. */
const NODE_LOOKUP = `
const { connect } = require("node:net");
const dns = require("node:dns").promises;
const resolver = new dns.Resolver({ timeout: 1000, tries: 1 });
const [how, name, port] = process.argv.slice(1);
const answers = (host) => new Promise((settle) => {
  const socket = connect({ host, port, timeout: 2000 }, () => socket.write("x"));
  socket.on("data", () => { socket.destroy(); settle(true); });
  for (const event of ["error", "timeout"]) socket.on(event, () => { socket.destroy(); settle(false); });
});
const none = (error) => { if (error.code === "ENODATA") return []; throw error; };
(async () => {
  const addresses = how === "lookup"
    ? (await dns.lookup(name, { all: true })).map(({ address }) => address)
    : (await Promise.all([resolver.resolve4(name).catch(none), resolver.resolve6(name).catch(none)])).flat();
  for (const address of addresses.sort()) if (await answers(address)) console.log(address);
})().catch((error) => { console.error(error.message); process.exitCode = 1; });
`;

interface Resolver {
  /** Builds the program if it needs that. @returns its path, null where this machine cannot build it */
  program: (fixture: Fixture) => string | null;
  args?: readonly string[];
  /** Goes through the search list. */
  searches?: false;
  /** Asks again over TCP. */
  retries?: false;
}

/** Runs a compiler. @returns a copy of what it made, null where there is no such compiler */
function compiled(fixture: Fixture, name: string, compiler: string, ...args: string[]): string | null {
  const [found] = [compiler, `/usr/local/go/bin/${compiler}`].filter(isCommand);
  if (found === undefined) return null;
  mkdirSync(BUILD, { recursive: true });
  execFileSync(found, [...args], {
    cwd: SOURCES,
    env: { ...process.env, CGO_ENABLED: "0", GOTOOLCHAIN: "local", GOFLAGS: "", GO111MODULE: "off" },
  });
  return fixture.program(name, join(BUILD, name));
}

function isCommand(name: string): boolean {
  if (name.startsWith("/")) return existsSync(name);
  return (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, name)));
}

const RESOLVERS: Readonly<Record<string, Resolver>> = {
  glibc: { program: (fixture) => compiled(fixture, "glibc", "gcc", "-O1", "-o", join(BUILD, "glibc"), "lookup.c") },
  musl: {
    program: (fixture) =>
      compiled(fixture, "musl", "musl-gcc", "-static", "-O1", "-o", join(BUILD, "musl"), "lookup.c"),
    // From 1.2.4 on; Debian 12 has 1.2.3.
    retries: false,
  },
  Go: { program: (fixture) => compiled(fixture, "go", "go", "build", "-o", join(BUILD, "go"), "lookup.go") },
  "Node, by the C library": { program: () => NODE, args: ["-e", NODE_LOOKUP, "lookup"] },
  "Node, by c-ares": { program: () => NODE, args: ["-e", NODE_LOOKUP, "resolve"], searches: false },
};

const programs = new Map<string, string | null>();
const fixture = await Fixture.start("resolvers", {
  apps: ["app"],
  zone: {
    "db.prod.svc.cluster.test": { a: ["198.51.100.1"], aaaa: ["2001:db8:1::1"] },
    "four.example.com": { a: ["198.51.100.1", "198.51.100.2"] },
    "six.example.com": { aaaa: ["2001:db8:1::2"] },
    "alias.example.com": { cname: "four.example.com" },
    "big.example.com": { a: ["198.51.100.3"], truncate: true },
    [HIDDEN]: { a: ["198.51.100.1"] },
  },
  profiles: (fixture) => {
    addSearchDomains(fixture, "app", SEARCH, "ndots:5 timeout:1 attempts:1");
    for (const [name, { program }] of Object.entries(RESOLVERS)) programs.set(name, program(fixture));
    const listed = [...new Set(programs.values()), fixture.program("busybox", "/bin/busybox")];
    return [
      profile(
        "app",
        listed.flatMap((path) => (path === null ? [] : [egress(path, RULES)])),
      ),
    ];
  },
});
const app = fixture.workload("app");

for (const [name, { args = [], searches = true, retries = true }] of Object.entries(RESOLVERS)) {
  const program = programs.get(name) ?? null;
  const skip = program === null && "what builds it is not there";
  const lookup = (host: string) => fixture.run(app, program ?? "", [...args, host, "7000"], { ownResolver: true });
  const finds = async (host: string, ...addresses: string[]) => {
    const mark = fixture.agent.events.mark();
    const { stdout, stderr } = await lookup(host);
    const refused = fixture.agent.events.since(
      mark,
      (event) => event.type === "verdict" && event.verdict === "dropped",
    );
    assert.deepEqual([stdout.trim().split("\n"), refused], [addresses, []], stderr);
  };

  test(`${name}: names with both kinds of addresses, with one, and with an alias`, { skip }, async () => {
    await finds("db.prod.svc.cluster.test", "198.51.100.1", "2001:db8:1::1");
    await finds("four.example.com", "198.51.100.1", "198.51.100.2");
    await finds("six.example.com", "2001:db8:1::2");
    await finds("alias.example.com", "198.51.100.1", "198.51.100.2");
  });

  test(`${name}: a short name, by the search list`, {
    skip: skip || (!searches && "it has no search list"),
  }, async () => {
    await finds("db.prod", "198.51.100.1", "2001:db8:1::1");
  });

  test(`${name}: what does not fit a datagram`, {
    skip: skip || (!retries && "it does not ask over TCP"),
  }, async () => {
    await finds("big.example.com", "198.51.100.3");
  });
}

test("a name that is not listed is not asked for, whoever looks it up", async () => {
  const mark = fixture.agent.events.mark();
  const ends = Object.entries(RESOLVERS).map(async ([name, { args = [] }]) => {
    const program = programs.get(name) ?? null;
    if (program === null) return;
    const { code, stdout } = await fixture.run(app, program, [...args, HIDDEN, "7000"], { ownResolver: true });
    assert.deepEqual([code, stdout], [1, ""], name);
    await fixture.violation({ reason: "DnsName", path: program }, mark);
  });
  await Promise.all(ends);
  assert.deepEqual(await fixture.servers.asked(HIDDEN), []);
});

test("busybox: nslookup asks for both types, wget finds a short name", async () => {
  const busybox = fixture.path("bin", "busybox");
  const run = (...args: string[]) => fixture.run(app, busybox, args, { ownResolver: true });
  const found = await run("nslookup", "db.prod.svc.cluster.test");
  assert.match(found.stdout, /198\.51\.100\.1[\s\S]*2001:db8:1::1/, found.stderr);
  const fetched = await run("wget", "-q", "-O", "-", "http://db.prod/");
  assert.equal(fetched.stdout, "hello\n", fetched.stderr);
});
