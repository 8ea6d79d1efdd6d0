/**
 * BIG TCP: interfaces whose segments may be larger than 64 KiB (Cilium's enableIPv4BIGTCP). Inside the machine such a segment
 * has the length zero in its IPv4 header. IPv6's are not forwarded by Linux 6.18 without the product either.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";
import { runIn } from "../e2e/harness/topology.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const BYTES = 64 * 1024 * 1024;
const SIZE = "185000";

const fixture = await Fixture.start("bigtcp", {
  apps: ["app"],
  profiles: () => [
    profile("app", [
      entry(PYTHON, {
        egress: { cidr4: ["198.51.100.0/24"], l4: { protocolPorts: [{ protocol: "tcp", port: 9100 }] } },
      }),
    ]),
  ],
});
const app = fixture.workload("app");
const { node, outside } = fixture.topology;

/** Interfaces of the whole way. */
const INTERFACES = [
  [app.name, "eth0"],
  [node.name, app.hostInterface],
  [node.name, "up0"],
  [outside.name, "eth0"],
] as const;

/** By rtnetlink, because ip(8) knows those of IPv4 from version 6.3 on. IFLA_GSO_MAX_SIZE 41, GRO 58, IPv4 63 and 64: linux/if_link.h. */
const ALLOW_LARGE_SEGMENTS = `
import socket, struct, sys
index, size = socket.if_nametoindex(sys.argv[1]), int(sys.argv[2])
link = struct.pack("=BxHiII", 0, 0, index, 0, 0)
link += b"".join(struct.pack("=HHI", 8, kind, size) for kind in (41, 58, 63, 64))
route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
route.send(struct.pack("=IHHII", 16 + len(link), 16, 5, 1, 0) + link)
error = struct.unpack_from("=i", route.recv(4096), 16)[0]
sys.exit(-error)
`;
const RECEIVER = `
import socket, sys
server = socket.create_server((sys.argv[1], 9100))
print("listening", flush=True)
peer, _ = server.accept()
total = 0
while True:
    data = peer.recv(1 << 20)
    if not data: break
    total += len(data)
print(total, flush=True)
`;
const SENDER = `
import socket, sys
peer = socket.create_connection((sys.argv[1], 9100), timeout=5)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
peer.sendall(b"x" * int(sys.argv[2]))
peer.close()
`;

const ADDRESS = "198.51.100.1";

/** False where the kernel does not know them: IPv6's are from 5.19 on, IPv4's from 6.3. */
function allowLargeSegments(): boolean {
  try {
    for (const [place, name] of INTERFACES) runIn(place, PYTHON, "-c", ALLOW_LARGE_SEGMENTS, name, SIZE);
    return true;
  } catch {
    return false;
  }
}
const skip = !allowLargeSegments() && "this kernel has no segments above 64 KiB";

test("a bulk transfer with segments above 64 KiB arrives whole", { skip }, async () => {
  const mark = fixture.agent.events.mark();
  const receiver = fixture.start(outside, PYTHON, ["-c", RECEIVER, ADDRESS]);
  await receiver.line("listening");
  const { code, stderr } = await fixture.run(app, PYTHON, ["-c", SENDER, ADDRESS, String(BYTES)]);
  assert.equal(code, 0, stderr);
  await receiver.line(String(BYTES));
  assert.deepEqual(
    fixture.agent.events.since(mark, (event) => "verdict" in event && event.verdict !== "allowed"),
    [],
  );
});
