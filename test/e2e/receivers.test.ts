/**
 * Section 3: what comes in is judged by who would receive it: whoever has taken the place of a flow's socket, every member of
 * a group, and every raw socket that listens along. `member` may talk to the node and to the world outside; `stranger` is
 * listed nowhere, and `lodger` for something else. In the workload `open`, which no profile selects, the stranger hears all of it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import type { RunningProcess } from "./harness/processes.ts";
import { egress, entry, profile } from "./harness/profiles.ts";
import { runIn, type WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const RIGHTS: EgressRules = {
  cidr4: ["0.0.0.0/0"],
  cidr6: ["::/0"],
  l4: { protocols: ["udp", "tcp", "icmp", "icmpv6"] },
};

const fixture = await Fixture.start("receivers", {
  apps: ["club", "open"],
  profiles: (fixture) => [
    profile("club", [
      entry(fixture.program("member"), {
        egress: RIGHTS,
        ingress: { cidr4: ["0.0.0.0/0"], cidr6: ["::/0"], l4: { protocols: ["udp"] } },
      }),
      egress(fixture.program("lodger"), {
        cidr4: [`${SERVER}/32`],
        cidr6: [`${SERVER6}/128`],
        l4: { protocols: ["udp"] },
      }),
      entry(fixture.program("peer"), {
        egress: RIGHTS,
        ingress: { cidr4: ["0.0.0.0/0"], cidr6: ["::/0"], l4: { protocols: ["udp", "icmp", "tcp"] } },
      }),
    ]),
  ],
});
const club = fixture.workload("club");
const open = fixture.workload("open");
const { node, outside } = fixture.topology;
const member = fixture.path("bin", "member");
const peer = fixture.path("bin", "peer");
const lodger = fixture.path("bin", "lodger");
const stranger = fixture.program("stranger");
const visitor = fixture.program("visitor");

/** How long to listen for what should not come, ms. */
const QUIET_MS = 400;
/** For verbs that wait for each other, ms. */
const LONG = `timeout ${patiently(10_000)}`;

/** Begins to listen with these verbs. */
async function listens(place: WorkloadPlace, program: string, verbs: string, text: string): Promise<RunningProcess> {
  const ear = fixture.start(place, program, `${LONG} ${verbs} hear ${text}`);
  await ear.line("listening");
  return ear;
}

/** Listens with these verbs, and has somebody speak. @returns whether it has heard the text */
async function hears(place: WorkloadPlace, program: string, verbs: string, text: string, speak: () => Promise<void>) {
  const ear = await listens(place, program, verbs, text);
  await speak();
  return ear.succeeds(QUIET_MS);
}

interface Group {
  /** How a process gets what is sent to it. */
  listen: string;
  /** How the node sends to it. */
  speak: (place: WorkloadPlace, text: string) => string;
}

const GROUPS: Record<string, Group> = {
  "an IPv4 group": {
    listen: "udp4 reuseaddr bind 0.0.0.0 9100 join 239.1.2.3 eth0",
    speak: (place, text) => `udp4 multicastby ${place.hostInterface} sendto 239.1.2.3 9100 ${text}`,
  },
  "an IPv6 group": {
    listen: "udp6 reuseaddr bind :: 9100 join ff15::1234 eth0",
    speak: (place, text) => `udp6 multicastby ${place.hostInterface} sendto ff15::1234 9100 ${text}`,
  },
  "a group that another process has joined": {
    listen: "udp4 reuseaddr bind 0.0.0.0 9100",
    speak: (place, text) => `udp4 multicastby ${place.hostInterface} sendto 239.1.2.3 9100 ${text}`,
  },
  "the broadcast address of the link": {
    listen: "udp4 reuseaddr bind 0.0.0.0 9100",
    speak: (place, text) =>
      `udp4 multicastby ${place.hostInterface} sendto ${place.ipv4.replace(/\.2$/, ".255")} 9100 ${text}`,
  },
  "the broadcast address": {
    listen: "udp4 reuseaddr bind 0.0.0.0 9100",
    speak: (place, text) =>
      `udp4 binddevice ${place.hostInterface} multicastby ${place.hostInterface} sendto 255.255.255.255 9100 ${text}`,
  },
};

for (const [what, { listen, speak }] of Object.entries(GROUPS)) {
  test(`§3 ${what}: a listed process hears what is sent to it, and another one does not`, async () => {
    const joined = [club, open].map((place) =>
      fixture.start(place, member, "udp4 reuseaddr bind 0.0.0.0 9100 join 239.1.2.3 eth0 wait"),
    );
    for (const running of joined) await running.line("waiting");
    const say = async (place: WorkloadPlace, text: string) => {
      assert.equal((await fixture.run(node, visitor, speak(place, text))).code, 0);
    };
    const [tag, mark] = [fixture.tag(), fixture.agent.events.mark()];
    assert.equal(
      await hears(open, stranger, listen, tag, () => say(open, tag)),
      true,
      "nobody hears it without a profile either",
    );
    const ears = await Promise.all([stranger, member, stranger].map((program) => listens(club, program, listen, tag)));
    await say(club, tag);
    assert.deepEqual(await Promise.all(ears.map((ear) => ear.succeeds(QUIET_MS))), [false, true, false]);
    await fixture.violation(
      { reason: "BinaryUnknown", direction: "ingress", path: stranger, proto: "udp" },
      mark,
      club,
    );
    for (const running of joined) await running.kill();
  });
}

let port = 40000;

interface Takeover {
  family: "udp4" | "udp6";
  /** How the flow's owner binds its socket. */
  first: (at: number, place: WorkloadPlace) => string;
  /** How another process gets its packets. */
  second: (at: number, place: WorkloadPlace) => string;
  /** The owner's socket is gone by then. */
  closed?: boolean;
}

/** Datagrams of a conversation that is well under way. */
const ENOUGH = 20;

const TAKEOVERS: Record<string, Takeover> = {
  "a socket on the port of one that has been closed": {
    family: "udp4",
    first: (at) => `bind 0.0.0.0 ${at}`,
    second: (at) => `udp4 bind 0.0.0.0 ${at}`,
    closed: true,
  },
  "a socket on the port of one that has been closed (IPv6)": {
    family: "udp6",
    first: (at) => `bind :: ${at}`,
    second: (at) => `udp6 bind :: ${at}`,
    closed: true,
  },
  "a socket for both families": {
    family: "udp4",
    first: (at) => `bind 0.0.0.0 ${at}`,
    second: (at) => `udp6 bind :: ${at}`,
    closed: true,
  },
  "a socket with a more specific address": {
    family: "udp4",
    first: (at) => `reuseaddr bind 0.0.0.0 ${at}`,
    second: (at, { ipv4 }) => `udp4 reuseaddr bind ${ipv4} ${at}`,
  },
  "a socket with a more specific address (IPv6)": {
    family: "udp6",
    first: (at) => `reuseaddr bind :: ${at}`,
    second: (at, { ipv6 }) => `udp6 reuseaddr bind ${ipv6} ${at}`,
  },
  "a socket that is bound to the interface": {
    family: "udp4",
    first: (at) => `reuseaddr bind 0.0.0.0 ${at}`,
    second: (at) => `udp4 reuseaddr binddevice eth0 bind 0.0.0.0 ${at}`,
  },
  "a socket that is bound to the interface (IPv6)": {
    family: "udp6",
    first: (at) => `reuseaddr bind :: ${at}`,
    second: (at) => `udp6 reuseaddr binddevice eth0 bind :: ${at}`,
  },
  "a socket that is connected to the flow's peer": {
    family: "udp4",
    first: (at) => `reuseaddr bind 0.0.0.0 ${at}`,
    second: (at) => `udp4 reuseaddr bind 0.0.0.0 ${at} connect ${outside.ipv4} 7100`,
  },
};

for (const [what, { family, first, second, closed }] of Object.entries(TAKEOVERS)) {
  const [any, address] = family === "udp4" ? ["0.0.0.0", outside.ipv4] : ["::", outside.ipv6];

  /** A flow of `member` with a server outside, and what the server sends later on: does the program hear it? */
  const takes = async (place: WorkloadPlace, program: string, before = "") => {
    const at = port++;
    const tag = fixture.tag();
    const to = family === "udp4" ? place.ipv4 : place.ipv6;
    const server = fixture.start(
      outside,
      visitor,
      `${LONG} ${family} reuseaddr bind ${any} 7100 print ready answer wait sendto ${to} ${at} ${tag}`,
    );
    await server.line("ready");
    const owner = fixture.start(
      place,
      member,
      `${family} ${first(at, place)} sendto ${address} 7100 hello recv ${closed ? "close" : ""} wait`,
    );
    await owner.line("waiting");
    const verbs = second(at, place);
    const listen = before === "" ? verbs : verbs.replace(/^udp\d/, before);
    const heard = await hears(place, program, listen, tag, async () => {
      server.tell();
      await server.finish();
    });
    await owner.kill();
    return heard;
  };

  test(`§3 a flow's packets are not for another process: ${what}`, async () => {
    assert.equal(await takes(open, stranger), true, "it does not get them without a profile either");
    assert.equal(await takes(club, peer), true, "a listed process gets none");
    const mark = fixture.agent.events.mark();
    assert.equal(await takes(club, stranger), false);
    await fixture.violation(
      { reason: "BinaryUnknown", direction: "ingress", path: stranger, proto: "udp" },
      mark,
      club,
    );
  });

  if (!what.startsWith("a socket that is bound to the interface")) continue;
  test(`§3 a flow's packets are not for a socket that had another port alone before: ${what}`, async () => {
    const asked = family === "udp4" ? SERVER : SERVER6;
    const before = `${family} ${`sendto ${asked} 7000 x recv `.repeat(ENOUGH)}disconnect`;
    assert.equal(await takes(open, lodger, before), true, "it does not get them without a profile either");
    const mark = fixture.agent.events.mark();
    assert.equal(await takes(club, lodger, before), false);
    await fixture.violation({ reason: "Peer", direction: "ingress", path: lodger, proto: "udp" }, mark, club);
  });
}

test("§3 a flow's packets are not for a socket that has shared its port in between", async () => {
  const takes = async (place: WorkloadPlace) => {
    const [at, tag] = [port++, fixture.tag()];
    const conversation = `sendto ${SERVER} 7000 x recv `.repeat(ENOUGH);
    const other = fixture.start(
      place,
      lodger,
      `${LONG} udp4 bind 0.0.0.0 ${at} ${conversation} reuseaddr wait noreuseaddr hear ${tag}`,
    );
    await other.line("waiting");
    const speak = `${LONG} udp4 bind 0.0.0.0 7102 print ready answer wait sendto ${place.ipv4} ${at} ${tag}`;
    const server = fixture.start(outside, visitor, speak);
    await server.line("ready");
    const ask = `udp4 reuseaddr bind 0.0.0.0 ${at} sendto ${outside.ipv4} 7102 hello recv`;
    assert.equal((await fixture.run(place, member, ask)).code, 0);
    other.tell();
    await other.line("listening");
    server.tell();
    await server.finish();
    return await other.succeeds(QUIET_MS);
  };
  assert.equal(await takes(open), true, "it does not get them without a profile either");
  const mark = fixture.agent.events.mark();
  assert.equal(await takes(club), false);
  await fixture.violation({ reason: "Peer", direction: "ingress", path: lodger, proto: "udp" }, mark, club);
});

test("§3 a flow's packets are not for what its process has executed since", async () => {
  const takes = async (place: WorkloadPlace) => {
    const [at, tag] = [port++, fixture.tag()];
    const speak = `${LONG} udp4 bind 0.0.0.0 7101 print ready answer wait sendto ${place.ipv4} ${at} ${tag}`;
    const server = fixture.start(outside, visitor, speak);
    await server.line("ready");
    const takeOver = `${LONG} udp4 binddevice eth0 bind 0.0.0.0 ${at} hear ${tag}`;
    const ask = `udp4 bind 0.0.0.0 ${at} sendto ${outside.ipv4} 7101 hello recv close`;
    const owner = fixture.start(place, member, `${ask} exec ${stranger} ${takeOver}`);
    await owner.line("listening");
    server.tell();
    await server.finish();
    return await owner.succeeds(QUIET_MS);
  };
  assert.equal(await takes(open), true, "it does not get them without a profile either");
  const mark = fixture.agent.events.mark();
  assert.equal(await takes(club), false);
  await fixture.violation({ reason: "BinaryUnknown", direction: "ingress", path: stranger, proto: "udp" }, mark, club);
});

for (const family of ["tcp4", "tcp6"] as const) {
  test(`§3 a connection that begins with a cookie is not for another listener on the port (${family})`, async () => {
    const any = family === "tcp4" ? "0.0.0.0" : "::";
    const takes = async (place: WorkloadPlace, program: string) => {
      const [at, tag] = [port++, fixture.tag()];
      const serve = async () => {
        const server = fixture.start(place, peer, `${family} reuseport bind ${any} ${at} listen wait`);
        await server.line("waiting");
        return server;
      };
      // The kernel takes a listener that is bound to the interface, which the classifier's look-up does not find: of
      // IPv4 the last one in its list, of IPv6 the first.
      const listen = `timeout ${patiently(QUIET_MS)} ${family} reuseport binddevice eth0 bind ${any} ${at} listen accept recv`;
      const before = family === "tcp4" ? await serve() : null;
      const other = fixture.start(place, program, listen);
      await other.line("listening");
      const server = before ?? (await serve());
      const to = family === "tcp4" ? place.ipv4 : place.ipv6;
      await fixture.run(
        outside,
        visitor,
        `timeout ${patiently(300)} ${family} connect ${to} ${at} send ${tag} sleep 100`,
      );
      const { stdout } = await other.finish();
      await server.kill();
      return stdout.includes(tag);
    };
    for (const place of [open, club]) runIn(place.name, "sysctl", "-qw", "net.ipv4.tcp_syncookies=2");
    try {
      assert.equal(await takes(open, stranger), true, "it does not get it without a profile either");
      const mark = fixture.agent.events.mark();
      assert.equal(await takes(club, stranger), false);
      await fixture.violation(
        { reason: "BinaryUnknown", direction: "ingress", path: stranger, proto: "tcp" },
        mark,
        club,
      );
      assert.equal(await takes(club, peer), true, "a second worker of the server's gets its own");
    } finally {
      for (const place of [open, club]) runIn(place.name, "sysctl", "-qw", "net.ipv4.tcp_syncookies=1");
    }
  });
}

const RAW: Record<string, { listen: string; speak: (place: WorkloadPlace, text: string) => string }> = {
  "the replies to a datagram": { listen: "raw4 17", speak: (_, text) => `udp4 sendto 198.51.100.1 7000 ${text} recv` },
  "the replies to a datagram (IPv6)": {
    listen: "raw6 17",
    speak: (_, text) => `udp6 sendto 2001:db8:1::1 7000 ${text} recv`,
  },
  "a connection": { listen: "raw4 6", speak: (_, text) => `tcp4 connect 198.51.100.1 7000 send ${text} recv` },
};

for (const [what, { listen, speak }] of Object.entries(RAW)) {
  test(`§3 a raw socket of a process that is not listed does not listen along: ${what}`, async () => {
    const tag = fixture.tag();
    const converse = (place: WorkloadPlace) => async () => {
      assert.equal((await fixture.run(place, member, speak(place, tag))).code, 0);
    };
    assert.equal(
      await hears(open, stranger, listen, tag, converse(open)),
      true,
      "it hears nothing without a profile either",
    );
    assert.equal(await hears(club, peer, listen, tag, converse(club)), true, "a listed process hears nothing");
    const mark = fixture.agent.events.mark();
    assert.equal(await hears(club, stranger, listen, tag, converse(club)), false);
    await fixture.violation({ reason: "BinaryUnknown", direction: "ingress", path: stranger }, mark, club);
  });
}

test("§3 a raw socket of its own is how a listed process pings", async () => {
  await fixture.passes(club, peer, "raw4 1 ping 198.51.100.1");
});
