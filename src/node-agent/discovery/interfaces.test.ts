import assert from "node:assert/strict";
import { test } from "node:test";
import type { Link } from "../netlink/links.ts";
import { matchInterfaces } from "./interfaces.ts";

function link(fields: Partial<Link>): Link {
  const nothing = {
    index: 2,
    name: "eth0",
    kind: "veth",
    loopback: false,
    ethernet: true,
    up: true,
    mtu: 1500,
    mac: "",
  };
  return { ...nothing, peerIndex: null, peerNsid: null, ...fields };
}

const loopback = link({ index: 1, name: "lo", kind: null, loopback: true, ethernet: false });

test("a veth is matched by namespace id and index", () => {
  const inside = [loopback, link({ mac: "02:00:00:00:00:01", peerIndex: 7, peerNsid: 0 })];
  const own = [
    link({ index: 7, name: "veth7", peerIndex: 2, peerNsid: 4 }),
    link({ index: 8, name: "veth8", peerIndex: 2, peerNsid: 5 }),
  ];
  assert.deepEqual(matchInterfaces(inside, own, 4), {
    guarded: [{ name: "eth0", mac: "02:00:00:00:00:01", hostIfindex: 7, hostIfname: "veth7" }],
    unguarded: [],
  });
});

test("several veths are all guarded, in the order of their host ends", () => {
  const inside = [link({ index: 2, peerIndex: 9, peerNsid: 0 }), link({ index: 3, peerIndex: 7, peerNsid: 0 })];
  const own = [link({ index: 9, peerIndex: 2, peerNsid: 4 }), link({ index: 7, peerIndex: 3, peerNsid: 4 })];
  assert.deepEqual(
    matchInterfaces(inside, own, 4).guarded.map(({ hostIfindex }) => hostIfindex),
    [7, 9],
  );
});

test("what leads out another way is not guarded: veth to elsewhere, macvlan, hardware, tun, WireGuard from elsewhere", () => {
  const inside = [
    link({ index: 2, name: "a", peerIndex: 3, peerNsid: 1 }),
    link({ index: 3, name: "b", kind: "macvlan", peerIndex: 4, peerNsid: 0 }),
    link({ index: 4, name: "c", kind: null }),
    link({ index: 5, name: "d", kind: "tun", ethernet: false }),
    link({ index: 6, name: "e", kind: "wireguard", ethernet: false, peerNsid: 0 }),
  ];
  assert.deepEqual(
    matchInterfaces(inside, [], 4).unguarded.map(({ name }) => name),
    ["a", "b", "c", "d", "e"],
  );
});

test("what leads nowhere is no problem: loopback, bridges, dummies, veths within, and what is down", () => {
  const inside = [
    loopback,
    link({ index: 2, kind: "bridge" }),
    link({ index: 3, kind: "dummy" }),
    link({ index: 4, peerIndex: 5 }),
    link({ index: 6, kind: "vlan", peerIndex: 4 }),
    link({ index: 7, kind: "macvlan", peerIndex: 4, peerNsid: 0, up: false }),
  ];
  assert.deepEqual(matchInterfaces(inside, [], 4), { guarded: [], unguarded: [] });
});

test("a host end whose other end is not in the list any more is left out", () => {
  assert.deepEqual(matchInterfaces([], [link({ index: 7, peerIndex: 2, peerNsid: 4 })], 4).guarded, []);
});
