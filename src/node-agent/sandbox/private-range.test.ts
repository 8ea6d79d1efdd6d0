import assert from "node:assert/strict";
import { test } from "node:test";
import { FAMILY } from "../netlink/addresses.ts";
import type { Route } from "../netlink/routes.ts";
import { choosePrivateAddresses, hasDefaultRoute, SLOTS_MAX } from "./private-range.ts";

function route(text: string): Route {
  const [destination = "", length = ""] = text.split("/");
  const family = destination.includes(":") ? FAMILY.IPV6 : FAMILY.IPV4;
  return { family, destination, prefixLength: Number(length), unicast: true, linkIndexes: [2] };
}

test("each slot has its own network", () => {
  const first = choosePrivateAddresses(0, []);
  assert.deepEqual(first, {
    gateway4: "10.213.208.1",
    inside4: "10.213.208.2",
    prefixLength4: 30,
    ipv6: { gateway: "fd5b:9c1e:42a7::1", inside: "fd5b:9c1e:42a7::2", prefixLength: 64 },
  });
  const last = choosePrivateAddresses(SLOTS_MAX - 1, []);
  assert.equal(last.inside4, "10.213.223.254");
  assert.equal(last.ipv6?.inside, "fd5b:9c1e:42a7:3ff::2");
});

test("a range that the host has a route to is passed over", () => {
  assert.equal(choosePrivateAddresses(1, [route("10.0.0.0/8")]).gateway4, "172.29.208.5");
  assert.equal(choosePrivateAddresses(1, [route("10.213.208.4/30"), route("172.16.0.0/12")]).gateway4, "192.168.208.5");
  assert.equal(choosePrivateAddresses(1, [route("10.213.208.6/32")]).gateway4, "172.29.208.5");
  assert.equal(choosePrivateAddresses(1, [route("10.213.208.8/30")]).gateway4, "10.213.208.5");
});

test("default routes, and halves of one, do not count", () => {
  const routes = [route("0.0.0.0/0"), route("0.0.0.0/1"), route("::/0")];
  assert.equal(choosePrivateAddresses(0, routes).gateway4, "10.213.208.1");
});

test("no free range is an error that names the routes to look for", () => {
  const routes = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"].map(route);
  assert.throws(() => choosePrivateAddresses(0, routes), {
    code: "PC_RUN_ADDRESS_RANGE",
    message: /172\.29\.208\.0\/30/,
  });
});

test("where the IPv6 range is in use there is no IPv6", () => {
  assert.equal(choosePrivateAddresses(0, [route("fd5b:9c1e::/32")]).ipv6, null);
});

test("a default route is a unicast one to everything", () => {
  assert.ok(hasDefaultRoute([route("::/0")], FAMILY.IPV6));
  assert.ok(!hasDefaultRoute([route("::/0")], FAMILY.IPV4));
  assert.ok(!hasDefaultRoute([{ ...route("::/0"), unicast: false }], FAMILY.IPV6));
});
