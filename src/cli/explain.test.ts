import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

const PROFILE = `
apiVersion: security.datadoghq.com/v1
kind: SecurityProfile
metadata: {name: web, labels: {app: web}}
spec:
  actions: [alert]
  processes:
    - path: /bin/app
      network:
        egress:
          cidr4: [10.0.0.0/8]
          cidr6: ["2001:db8::/32"]
          fqdns: ["*.example.com"]
          l4: {protocols: [icmpv6], protocolPorts: [{protocol: tcp, port: 443}]}
        ingress:
          cidr4: [10.0.0.0/8]
          l4: {protocolPorts: [{protocol: tcp, port: 80}]}
`;

function run(args: string[], input = PROFILE) {
  const command = ["explain", "--profiles", "-", "--label", "app=web", ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...command], {
    input,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { status, stdout, stderr };
}

test("the answer, the rule behind it, and exit status 0", () => {
  const { status, stdout } = run(["--process", "/bin/app", "--to", "10.0.0.7:443/tcp"]);
  assert.equal(status, 0);
  assert.match(stdout, /^\/bin\/app, in a workload of default with app=web: to 10\.0\.0\.7:443\/tcp\n/);
  assert.match(stdout, /pass {2}Peer +10\.0\.0\.7 +cidr4: 10\.0\.0\.0\/8\n/);
  assert.match(stdout, /^Allowed by default\/web spec\.processes\[0\]\.network\.egress$/m);
});

test("what is denied has exit status 1, whatever the mode makes of it", () => {
  const { status, stdout } = run(["--process", "/bin/app", "--to", "192.0.2.1:443/tcp"]);
  assert.equal(status, 1);
  assert.match(stdout, /FAIL {2}Peer/);
  assert.match(stdout, /^Denied: Peer\n {2}with the profiles' actions \(alert\): alerted$/m);
  assert.equal(run(["--unattributed", "--to", "10.0.0.7:443"]).status, 1);
});

test("IPv6, protocols without ports, ingress, names and learned addresses", () => {
  const allowed = (...args: string[]) => run(["--process", "/bin/app", ...args]).status;
  assert.equal(allowed("--to", "[2001:db8::1]:443/tcp"), 0);
  assert.equal(allowed("--to", "2001:db8::1/icmpv6"), 0);
  assert.equal(allowed("--to", "[2001:db8::1]/58"), 0);
  assert.equal(allowed("--from", "10.0.0.7:80/tcp"), 0);
  assert.equal(allowed("--from", "10.0.0.7:81/tcp"), 1);
  assert.equal(allowed("--dns", "WWW.Example.com."), 0);
  assert.equal(allowed("--dns", "example.com"), 1);
  assert.equal(allowed("--to", "192.0.2.1:443", "--resolved", "www.example.com"), 0);
  assert.equal(allowed("--dns", "www.example.com.svc.local", "--search-domain", "svc.local"), 0);
});

test("JSON has the question and the whole explanation", () => {
  const { stdout } = run(["--process", "/bin/app", "--to", "10.0.0.7:443/tcp", "-o", "json"]);
  const answer = JSON.parse(stdout);
  assert.deepEqual(answer.traffic.peer, { remote: "10.0.0.7", protocol: 6, port: 443 });
  assert.deepEqual([answer.allowed, answer.reason, answer.blocks[0].layers.length], [true, "Allowed", 3]);
});

test("wrong usage has exit status 2 and names the option", () => {
  const wrong = (args: string[], message: RegExp, input?: string) => {
    const { status, stderr } = run(args, input);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, message);
  };
  const app = ["--process", "/bin/app"];
  wrong(app, /give --to, --from or --dns/);
  wrong(["--to", "10.0.0.7:443"], /which process\?/);
  wrong(["--process", "app", "--to", "10.0.0.7:443"], /--process app: write an absolute path/);
  wrong([...app, "--unattributed", "--to", "10.0.0.7:443"], /--unattributed/);
  wrong([...app, "--to", "10.0.0.7"], /which port\?/);
  wrong([...app, "--to", "10.0.0.7:70000"], /ports end at 65535/);
  wrong([...app, "--to", "10.0.0.7:1/icmp"], /icmp has no ports/);
  wrong([...app, "--to", "10.0.0.7:1/foo"], /the protocol is one of/);
  wrong([...app, "--to", "example.com:443"], /write address:port\/protocol/);
  wrong([...app, "--to", "10.0.0.7:443", "--from", "10.0.0.7:443"], /--from/);
  wrong([...app, "--dns", "*.example.com"], /not a pattern/);
  wrong([...app, "--dns", "a..b"], /--dns a\.\.b/);
  wrong([...app, "--dns", "a.b", "--resolved", "a.b"], /give --to/);
  wrong([...app, "--to", "10.0.0.7:443", "--label", "app"], /write key=value/);
  wrong([...app, "--to", "10.0.0.7:443"], /portcullis validate/, PROFILE.replace("443", "99999"));
  wrong([...app, "--to", "10.0.0.7:443"], /there is no SecurityProfile/, "");
});
