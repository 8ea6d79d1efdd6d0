import assert from "node:assert/strict";
import { test } from "node:test";
import { parseResolvConf } from "../discovery/resolv-conf.ts";
import { insideConfiguration, mapResolvers } from "./private-resolver.ts";

test("name servers are mapped to fixed addresses, the first three IPv4 ones", () => {
  const host = parseResolvConf(
    "nameserver 192.0.2.1\nnameserver fd00::1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4",
  );
  assert.deepEqual(mapResolvers(host, null), [
    { inside: "169.254.53.53", host: "192.0.2.1", loopback: false },
    { inside: "169.254.53.54", host: "192.0.2.2", loopback: false },
    { inside: "169.254.53.55", host: "192.0.2.3", loopback: false },
  ]);
});

test("the servers behind systemd-resolved's stub stand in for it", () => {
  const host = parseResolvConf("nameserver 127.0.0.53\n");
  const behind = parseResolvConf("nameserver 192.0.2.1\n");
  assert.deepEqual(mapResolvers(host, behind), [{ inside: "169.254.53.53", host: "192.0.2.1", loopback: false }]);
});

test("another resolver on loopback is used as it is, even where systemd-resolved runs", () => {
  const host = parseResolvConf("nameserver 127.0.0.1\n");
  const behind = parseResolvConf("nameserver 192.0.2.1\n");
  assert.deepEqual(mapResolvers(host, behind), [{ inside: "169.254.53.53", host: "127.0.0.1", loopback: true }]);
});

test("no name server means the local host, IPv6 ones alone mean none", () => {
  assert.equal(mapResolvers(parseResolvConf(""), null)[0]?.host, "127.0.0.1");
  assert.deepEqual(mapResolvers(parseResolvConf("nameserver fd00::1"), null), []);
});

test("inside, search domains and options are the host's", () => {
  const host = parseResolvConf("nameserver 192.0.2.1\nsearch a.example\noptions ndots:2\n");
  assert.deepEqual(insideConfiguration(host, mapResolvers(host, null)), {
    nameservers: ["169.254.53.53"],
    search: ["a.example"],
    options: ["ndots:2"],
  });
});
