import assert from "node:assert/strict";
import { test } from "node:test";
import { formatResolvConf, parseResolvConf, searchDomains } from "./resolv-conf.ts";

test("name servers, search domains and options are read", () => {
  const text =
    "# made by hand\nnameserver 10.96.0.10\nnameserver\tfd00::3 \nsearch a.example b.example\noptions ndots:5 edns0\n";
  assert.deepEqual(parseResolvConf(text), {
    nameservers: ["10.96.0.10", "fd00::3"],
    search: ["a.example", "b.example"],
    options: ["ndots:5", "edns0"],
  });
});

test("the last search or domain line wins", () => {
  assert.deepEqual(parseResolvConf("domain one\nsearch two three\n").search, ["two", "three"]);
  assert.deepEqual(parseResolvConf("search two three\ndomain one\n").search, ["one"]);
});

test("comments, indented lines, unknown and empty keywords count for nothing", () => {
  const text = ";search a\n#search b\n search c\nsortlist 1.2.3.4\nsearch\nnameserver\r\n\n";
  assert.deepEqual(parseResolvConf(text), { nameservers: [], search: null, options: [] });
});

test("lines may end with a carriage return", () => {
  assert.deepEqual(parseResolvConf("search a.example\r\n").search, ["a.example"]);
});

test("search domains are lower case, without the trailing dot and without repetition", () => {
  const configuration = parseResolvConf("search SVC.Cluster.Local. svc.cluster.local . other");
  assert.deepEqual(searchDomains(configuration, "host.example.com"), ["svc.cluster.local", "other"]);
});

test("without a search line the domain of the host's name is searched", () => {
  const configuration = parseResolvConf("nameserver 1.2.3.4\n");
  assert.deepEqual(searchDomains(configuration, "host.example.com"), ["example.com"]);
  assert.deepEqual(searchDomains(configuration, "host"), []);
});

test("what is formatted is read back", () => {
  const configuration = { nameservers: ["169.254.53.53"], search: ["a", "b"], options: ["ndots:2"] };
  assert.deepEqual(parseResolvConf(formatResolvConf(configuration)), configuration);
  assert.equal(formatResolvConf({ nameservers: [], search: [], options: [] }), "\n");
});
