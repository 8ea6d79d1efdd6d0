/** Section 4, layer 7: what a flow speaks is recognised by its first payload, not by its port. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { L7Protocol } from "../../src/api/types.ts";
import { APP, appSpec, PEER, Scene } from "../../test/harness/scene.ts";
import { answer, prefixed, question } from "../../test/packets/dns.ts";
import {
  CLIENT_HELLO,
  HTTP_REQUEST,
  HTTP_RESPONSE,
  HTTP2_PREFACE,
  PROXY_HEADER,
  PROXY_LINE,
  PROXY_SIGNATURE,
  SERVER_HELLO,
  SSH_BANNER,
} from "../../test/packets/payloads.ts";
import { tcp, udp } from "../../test/packets/transport.ts";

const scene = new Scene("application");
after(() => scene[Symbol.dispose]());

const open = { cidr4: ["0.0.0.0/0"], l4: { protocols: ["any" as const] } };
const allow = (...protocols: L7Protocol[]) => scene.allow({ ...open, l7: { protocols } });

/** What a new TCP connection's first payload comes to. */
function first(payload: number[] | string) {
  scene.harness.maps.flows.clear();
  assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999, flags: "S" })), "Allowed");
  assert.equal(scene.in(PEER, tcp({ from: 9999, to: 4000, flags: "SA" })), "Allowed");
  return scene.out(PEER, tcp({ from: 4000, to: 9999, flags: "PA" }, payload));
}

test("where `l7` is absent it is not looked at", () => {
  scene.allow(open);
  for (const payload of [HTTP_REQUEST, CLIENT_HELLO, SSH_BANNER]) assert.equal(first(payload), "Allowed");
});

test("`any` is any", () => {
  allow("any", "http");
  assert.equal(first(SSH_BANNER), "Allowed");
});

test("what begins with urgent data is none of them: its receiver reads a byte less than was sent", () => {
  const begin = (flags: string, payload: string) => {
    first("");
    return scene.out(PEER, tcp({ from: 4000, to: 9999, flags }, payload));
  };
  const request = Buffer.from(HTTP_REQUEST).toString("latin1");
  allow("http");
  assert.equal(begin("PA", request), "Allowed");
  assert.equal(begin("PAU", request), "Application");
  assert.equal(begin("AU", ""), "Application", "where the byte is may be told ahead");
  allow("any");
  assert.equal(begin("PAU", request), "Allowed");
  scene.allow(open);
  assert.equal(begin("PAU", request), "Allowed", "where `l7` is absent it is not looked at");
});

describe("http", () => {
  test("requests, responses and HTTP/2's preface", () => {
    allow("http");
    for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]) {
      assert.equal(first(`${method} / HTTP/1.1\r\n`), "Allowed", method);
    }
    for (const payload of [HTTP_REQUEST, HTTP_RESPONSE, HTTP2_PREFACE, "GET "]) assert.equal(first(payload), "Allowed");
  });

  test("any token as method, before a path, `*` or an address", () => {
    allow("http");
    const methods = [
      "PROPFIND",
      "MKCOL",
      "REPORT",
      "SEARCH",
      "PURGE",
      "QUERY",
      "M-SEARCH",
      "VERSION-CONTROL",
      "get",
      "!#$%&'*+-.^_`|~",
    ];
    for (const method of [...methods, "M".repeat(24)]) {
      for (const target of ["/", "*", "http://example.com/"]) {
        assert.equal(first(`${method} ${target} HTTP/1.1\r\n`), "Allowed", method);
      }
    }
  });

  test("empty lines before a request", () => {
    allow("http", "tls");
    for (const lines of [1, 2, 4]) assert.equal(first(`${"\r\n".repeat(lines)}GET / HTTP/1.1\r\n`), "Allowed");
    assert.equal(first(`${"\r\n".repeat(5)}GET / HTTP/1.1\r\n`), "Application");
    assert.equal(first("\n\nGET / HTTP/1.1\r\n"), "Application");
    assert.equal(first([13, 10, ...CLIENT_HELLO]), "Application");
  });

  test("what only looks like it", () => {
    allow("http");
    for (const payload of [
      " GET /",
      "GET",
      "HTTP/2.0",
      "G",
      "USER anonymous",
      "LIST x /",
      "A(B / HTTP/1.1",
      "\x80 / HTTP/1.1",
    ]) {
      assert.equal(first(payload), "Application", payload);
    }
    assert.equal(first(`${"M".repeat(25)} / HTTP/1.1`), "Application");
    for (const payload of [CLIENT_HELLO, SSH_BANNER]) assert.equal(first(payload), "Application");
  });
});

describe("tls", () => {
  test("records with a hello of either side, of every version", () => {
    allow("tls");
    for (const minor of [0, 1, 2, 3, 4]) assert.equal(first(CLIENT_HELLO.with(2, minor)), "Allowed");
    assert.equal(first(SERVER_HELLO), "Allowed");
    assert.equal(first(CLIENT_HELLO.slice(0, 6)), "Allowed");
  });

  test("what only looks like it", () => {
    allow("tls");
    const wrong = [
      CLIENT_HELLO.with(0, 0x17),
      CLIENT_HELLO.with(1, 2),
      CLIENT_HELLO.with(2, 5),
      CLIENT_HELLO.with(5, 11),
    ];
    for (const payload of [...wrong, CLIENT_HELLO.slice(0, 5), HTTP_REQUEST])
      assert.equal(first(payload), "Application");
  });
});

describe("a PROXY header before it, of either version", () => {
  const longest = [...PROXY_SIGNATURE, 0x21, 0x11, 520 >> 8, 520 & 0xff, ...Array(520).fill(1)];
  const local = [...PROXY_SIGNATURE, 0x20, 0, 0, 0];

  test("is followed by what the profile lists", () => {
    for (const header of [PROXY_LINE, PROXY_HEADER, longest, local]) {
      allow("http");
      assert.equal(first([...header, ...HTTP_REQUEST]), "Allowed");
      assert.equal(first([...header, 13, 10, ...HTTP_REQUEST]), "Allowed");
      for (const other of [CLIENT_HELLO, SSH_BANNER]) assert.equal(first([...header, ...other]), "Application");
      allow("tls");
      assert.equal(first([...header, ...CLIENT_HELLO]), "Allowed");
      assert.equal(first([...header, ...HTTP_REQUEST]), "Application");
    }
  });

  test("may come in a segment of its own, and again; once", () => {
    allow("http");
    const segment = (sequence: number, payload: number[]) =>
      scene.out(PEER, tcp({ from: 4000, to: 9999, flags: "PA", sequence }, payload));
    for (const header of [PROXY_LINE, PROXY_HEADER, longest, [13, 10]]) {
      for (const [next, reason] of [
        [HTTP_REQUEST, "Allowed"],
        [header, "Application"],
        [SSH_BANNER, "Application"],
      ] as const) {
        scene.harness.maps.flows.clear();
        assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999, flags: "S", sequence: 99 })), "Allowed");
        assert.equal(segment(100, header), "Allowed");
        assert.equal(segment(100, header), "Allowed");
        assert.equal(segment(100 + header.length, next), reason);
      }
    }
  });

  test("that is none: too long, without an end, of another version, over UDP", () => {
    allow("http");
    const wrong = [
      [...Buffer.from(`PROXY ${"x".repeat(100)}\r\n`)],
      [...Buffer.from("PROXY TCP4 192.0.2.1")],
      [...PROXY_SIGNATURE, 0x11, 0x11, 0, 0],
      [...PROXY_SIGNATURE, 0x21, 0x11, 521 >> 8, 521 & 0xff, ...Array(521).fill(1)],
    ];
    assert.equal(first(PROXY_HEADER.slice(0, -1)), "Application");
    for (const header of wrong) assert.equal(first([...header, ...HTTP_REQUEST]), "Application", `${header}`);
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 9999 }, [...PROXY_LINE, ...HTTP_REQUEST])), "Application");
  });
});

describe("dns, on whatever port", () => {
  test("over TCP with its length, over UDP without", () => {
    allow("dns");
    const message = question("example.com");
    assert.equal(first(prefixed(message)), "Allowed");
    assert.equal(first(message), "Application");
    assert.equal(first(prefixed(message, message.length + 1)), "Application");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 9999 }, message)), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4001, to: 9999 }, prefixed(message))), "Application");
    assert.equal(scene.out(PEER, udp({ from: 4002, to: 9999 }, answer("example.com", []))), "Allowed");
  });

  test("on a port that is no DNS port the names are not judged", () => {
    scene.allow({ ...open, l7: { protocols: ["dns"], dns: ["example.com"] } });
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 9999 }, question("evil.example"))), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 53 }, question("evil.example"))), "DnsName");
  });
});

describe("undecided", () => {
  test("until there is a payload, in either direction", () => {
    allow("http");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 9999 })), "Allowed");
    assert.equal(scene.in(PEER, udp({ from: 9999, to: 4000 })), "Allowed");
    assert.equal(scene.in(PEER, udp({ from: 9999, to: 4000 }, SSH_BANNER)), "Application");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 9999 }, HTTP_REQUEST)), "Application");
  });

  test("the server may speak first", () => {
    allow("http");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999, flags: "S" })), "Allowed");
    assert.equal(scene.in(PEER, tcp({ from: 9999, to: 4000, flags: "PA" }, HTTP_RESPONSE)), "Allowed");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999, flags: "PA" }, SSH_BANNER)), "Allowed", "decided already");
  });

  test("the first payload alone decides; another connection is asked anew", () => {
    allow("http");
    assert.equal(first(HTTP_REQUEST), "Allowed");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999 }, SSH_BANNER)), "Allowed");
    assert.equal(first(SSH_BANNER), "Application");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999 }, HTTP_REQUEST)), "Application");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999, flags: "S" })), "Allowed");
  });

  test("a connection that is older than its judge has sent its first payload: it passes", () => {
    allow("http");
    const spoken = { process: APP, spoken: true, connected: true };
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 9999 }, SSH_BANNER), spoken), "Allowed");
  });
});

test("a union: each block with its own application and ports", () => {
  const block = (protocol: L7Protocol, port: number) =>
    appSpec({
      cidr4: ["0.0.0.0/0"],
      l4: { protocolPorts: [{ protocol: "udp", port }] },
      l7: { protocols: [protocol] },
    });
  scene.begin(block("http", 80), block("tls", 443));
  assert.equal(scene.out(PEER, udp({ from: 4000, to: 80 }, HTTP_REQUEST)), "Allowed");
  assert.equal(scene.out(PEER, udp({ from: 4000, to: 443 }, CLIENT_HELLO)), "Allowed");
  assert.equal(scene.out(PEER, udp({ from: 4001, to: 80 }, CLIENT_HELLO)), "Application");
  assert.equal(scene.out(PEER, udp({ from: 4001, to: 443 }, HTTP_REQUEST)), "Application");
});

test("ingress: what the workload is reported, and what it answers", () => {
  scene.allow(null, { ...open, l7: { protocols: ["http"] } });
  assert.equal(scene.in(PEER, tcp({ from: 4000, to: 80, flags: "S" }), { process: APP }), "Allowed");
  assert.equal(scene.in(PEER, tcp({ from: 4000, to: 80 }, SSH_BANNER), { process: APP }), "Application");
});
