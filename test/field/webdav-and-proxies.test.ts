/**
 * HTTP as it is spoken beside GET and POST: the methods of WebDAV, caches and registries (RFC 9110, 16.1: any token), an empty line before a
 * request, and the PROXY protocol before it, as nginx and curl send it behind load balancers. A list of eight methods is not HTTP.
 */
import assert from "node:assert/strict";
import { existsSync, realpathSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, profile } from "../e2e/harness/profiles.ts";

const CURL = "/usr/bin/curl";
const PYTHON = realpathSync("/usr/bin/python3");
const NGINX = "/usr/sbin/nginx";
const SERVER = "198.51.100.1";
const OWN = "203.0.113.2";
const PROXIED = 8180;
const METHODS = [
  "PROPFIND",
  "MKCOL",
  "REPORT",
  "SEARCH",
  "PURGE",
  "QUERY",
  "M-SEARCH",
  "LINK",
  "VERSION-CONTROL",
  "x!#$%&'*+.^_`|~",
];
const skip = !existsSync(NGINX) && "nginx is not installed here";

const fixture = await Fixture.start("webdav", {
  apps: ["app"],
  profiles: (fixture) => {
    const rules = {
      cidr4: [`${SERVER}/32`, `${OWN}/32`],
      l4: { protocols: ["tcp" as const] },
      l7: { protocols: ["http" as const] },
    };
    return [
      profile("app", [egress(CURL, rules), egress(PYTHON, rules), egress(fixture.program("nginx", NGINX), rules)]),
    ];
  },
});
const app = fixture.workload("app");
const { outside } = fixture.topology;
const refused = (mark: number) =>
  fixture.agent.events.since(mark, (event) => isVerdict(event) && event.verdict !== "allowed");

/** Sends bytes, and prints how the answer begins. */
const SEND = `
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1) as peer:
    for part in sys.argv[3:]:
        peer.sendall(bytes.fromhex(part))
    print(peer.recv(12).decode())
`;
const send = (to: string, port: number, ...parts: (string | number[])[]) =>
  fixture.run(app, PYTHON, [
    "-c",
    SEND,
    to,
    String(port),
    ...parts.map((part) => Buffer.from(part as string).toString("hex")),
  ]);

/** nginx outside, behind which somebody wants to know the client's address. */
async function startNginx(): Promise<void> {
  const conf = fixture.path("proxied.conf");
  writeFileSync(
    conf,
    `daemon off; master_process off; pid ${fixture.path("proxied.pid")}; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ${fixture.path()}; proxy_temp_path ${fixture.path()}; fastcgi_temp_path ${fixture.path()};
  uwsgi_temp_path ${fixture.path()}; scgi_temp_path ${fixture.path()};
  server { listen ${OWN}:${PROXIED} proxy_protocol; location / { return 200 "for $proxy_protocol_addr\\n"; } }
}`,
  );
  const nginx = fixture.start(outside, NGINX, ["-c", conf, "-e", "stderr"]);
  for (let tries = 0; tries < 50; tries++) {
    if ((await fixture.run(outside, CURL, ["-s", "--haproxy-protocol", `http://${OWN}:${PROXIED}/`])).code === 0)
      return;
    await new Promise((settle) => setTimeout(settle, 100));
  }
  assert.fail(nginx.stderr);
}

for (const method of METHODS) {
  test(`curl -X ${method}`, async () => {
    const mark = fixture.agent.events.mark();
    const { stdout, stderr } = await fixture.run(app, CURL, [
      "-s",
      "-m",
      "2",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "-X",
      method,
      `http://${SERVER}/`,
    ]);
    // A server may not know the method; that it says so shows that it was asked.
    assert.match(stdout, /^(200|400)$/, stderr);
    assert.deepEqual(refused(mark), []);
  });
}

test("an empty line before the request", async () => {
  const { stdout, stderr } = await send(SERVER, 80, "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assert.equal(stdout, "HTTP/1.1 200\n", stderr);
});

test("the PROXY protocol before a request: version 1 of curl, version 2", { skip }, async () => {
  await startNginx();
  const mark = fixture.agent.events.mark();
  const { stdout, stderr } = await fixture.run(app, CURL, [
    "-s",
    "-m",
    "2",
    "--haproxy-protocol",
    `http://${OWN}:${PROXIED}/`,
  ]);
  assert.equal(stdout, `for ${app.ipv4}\n`, stderr);
  const addresses = [192, 0, 2, 7, 203, 0, 113, 2, 0x10, 0x00, 0x1f, 0x90];
  const version2 = [
    0x0d,
    0x0a,
    0x0d,
    0x0a,
    0x00,
    0x0d,
    0x0a,
    0x51,
    0x55,
    0x49,
    0x54,
    0x0a,
    0x21,
    0x11,
    0,
    12,
    ...addresses,
  ];
  const answered = await send(OWN, PROXIED, version2, "GET / HTTP/1.0\r\n\r\n");
  assert.equal(answered.stdout, "HTTP/1.1 200\n", answered.stderr);
  assert.deepEqual(refused(mark), []);
});

test("what is none is refused", async () => {
  for (const words of [
    "SSH-2.0-OpenSSH_9.2\r\n",
    "GET\r\n",
    "PROXY TCP4 192.0.2.7 203.0.113.2 4096 8080\r\nSSH-2.0-OpenSSH_9.2\r\n",
  ]) {
    const mark = fixture.agent.events.mark();
    assert.equal((await send(SERVER, 7000, words)).stdout, "", words);
    await fixture.violation({ reason: "Application", path: PYTHON, proto: "tcp" }, mark);
  }
});
