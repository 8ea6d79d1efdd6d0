import assert from "node:assert/strict";
import { test } from "node:test";
import { FAMILY } from "../netlink/addresses.ts";
import type { Link } from "../netlink/links.ts";
import type { Route } from "../netlink/routes.ts";
import { uplinks } from "./forwarding.ts";

function link(index: number, name: string): Link {
  const loopback = name === "lo";
  return {
    index,
    name,
    loopback,
    kind: null,
    ethernet: true,
    up: true,
    mtu: 1500,
    mac: "",
    peerIndex: null,
    peerNsid: null,
  };
}

function route(linkIndexes: number[], unicast = true): Route {
  return { family: FAMILY.IPV4, destination: "0.0.0.0", prefixLength: 0, unicast, linkIndexes };
}

test("the interfaces that routes lead to are uplinks, once each", () => {
  const links = [link(1, "lo"), link(2, "eth0"), link(3, "eth1"), link(4, "dummy0")];
  assert.deepEqual(uplinks(links, [route([2]), route([2, 3])]), ["eth0", "eth1"]);
});

test("loopback, private namespaces and routes that lead nowhere are left out", () => {
  const links = [link(1, "lo"), link(2, "eth0"), link(3, "pcr0")];
  assert.deepEqual(uplinks(links, [route([1]), route([3]), route([2], false)]), []);
});
