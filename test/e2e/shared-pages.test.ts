/**
 * Section 5: a question that its sender can still change once it is judged does not leave. `asker` may ask for one name, and sends the
 * question from pages of a file, over which it writes another one.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { release } from "node:os";
import { test } from "node:test";
import { question as dnsQuestion, prefixed } from "../packets/dns.ts";
import { Fixture } from "./harness/fixture.ts";
import { egress, profile } from "./harness/profiles.ts";
import type { WorkloadPlace } from "./harness/topology.ts";

const RESOLVER = "198.51.100.1";
const RESOLVER6 = "2001:db8:1::1";
const DNS_PORT = 5399;
/** For what has arrived to be read, ms. */
const HEAR_MS = 400;
/** As long as what is looked for in the other one. */
const LISTED = "a".repeat(16);

const fixture = await Fixture.start("pages", {
  apps: ["shop", "open"],
  agentArgs: ["--dns-port", String(DNS_PORT)],
  profiles: (fixture) => [
    profile("shop", [
      egress(fixture.program("asker"), {
        cidr4: [`${RESOLVER}/32`],
        cidr6: [`${RESOLVER6}/128`],
        l4: { protocols: ["tcp", "udp"] },
        l7: { dns: [`${LISTED}.example.com`] },
      }),
    ]),
  ],
});
const shop = fixture.workload("shop");
const open = fixture.workload("open");
const asker = fixture.path("bin", "asker");

/** From 6.5 on, pages that are spliced into a datagram are not copied. */
const [major = 0, minor = 0] = release().split(".").map(Number);
const splicesDatagrams = major > 6 || (major === 6 && minor >= 5);

const hex = (bytes: number[]) => Buffer.from(bytes).toString("hex");

for (const [family, resolver] of [
  ["4", RESOLVER],
  ["6", RESOLVER6],
] as const) {
  for (const transport of ["tcp", "udp"] as const) {
    const question = (label: string) => {
      const bytes = dnsQuestion(`${label}.example.com`);
      return hex(transport === "tcp" ? prefixed(bytes) : bytes);
    };
    /** Whether the resolver, which reads once all is done, gets the name that was written over the listed one. */
    const arrives = async (place: WorkloadPlace): Promise<boolean> => {
      const label = randomBytes(LISTED.length).toString("hex").slice(0, LISTED.length);
      const takes = transport === "tcp" ? "listen accept" : "";
      const answering = fixture.start(
        fixture.topology.outside,
        asker,
        `${transport}${family} bind ${resolver} ${DNS_PORT} ${takes} wait hear ${label}`,
      );
      await answering.line(transport === "tcp" ? "listening" : "waiting");
      const sending = `${transport}${family} connect ${resolver} ${DNS_PORT} splicechange ${question(LISTED)} ${question(label)}`;
      const sent = await fixture.run(place, asker, sending);
      assert.equal(sent.code, 0, sent.stderr);
      await answering.line("waiting");
      answering.tell();
      return answering.succeeds(HEAR_MS);
    };
    const skip = transport === "udp" && !splicesDatagrams && "this kernel copies what is spliced into a datagram";
    test(`§5 a question in pages that its sender writes to does not leave: ${transport} over IPv${family}`, {
      skip,
    }, async () => {
      assert.ok(await arrives(open), "what was written over it does not arrive without a profile");
      const mark = fixture.agent.events.mark();
      assert.equal(await arrives(shop), false);
      await fixture.violation({ reason: "DnsMalformed", path: asker }, mark, shop);
    });
  }
}
