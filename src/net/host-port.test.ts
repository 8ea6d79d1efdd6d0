/** `host:port`, as people and charts write it, names, IPv4 and IPv6 alike. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatHostPort, parseHostPort } from "./host-port.ts";

for (const [text, host, formatted] of [
  ["operator.portcullis-system.svc:8443", "operator.portcullis-system.svc", "operator.portcullis-system.svc:8443"],
  ["10.96.0.20:8443", "10.96.0.20", "10.96.0.20:8443"],
  ["[fd00:10:96::20]:8443", "fd00:10:96::20", "[fd00:10:96::20]:8443"],
  ["fd00:10:96::20:8443", "fd00:10:96::20", "[fd00:10:96::20]:8443"],
  ["::1:8443", "::1", "[::1]:8443"],
] as const) {
  test(`${text} is port 8443 of ${host}`, () => {
    const parsed = parseHostPort(text);
    assert.deepEqual(parsed, { host, port: 8443 });
    assert.equal(parsed === null ? "" : formatHostPort(parsed), formatted);
  });
}

for (const text of [
  "",
  ":8443",
  "operator",
  "operator:",
  "operator:http",
  "operator:65536",
  "[operator]:8443",
  "[::1]",
  "a b:1",
]) {
  test(`no address: ${JSON.stringify(text)}`, () => assert.equal(parseHostPort(text), null));
}
