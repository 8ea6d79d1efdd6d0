/** Where Hubble's clients may be answered: on the machine itself, or with certificates; anything else is refused. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type ServeOptions, serveOf } from "./serve-options.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-serve-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "pem");
writeFileSync(file, "PEM");
const certificates = { serveCertificate: file, serveKey: file, serveClientCa: file };
const of = (options: Partial<ServeOptions>) => serveOf({ recordsSize: 2 ** 30, ...options });

test("without an address nobody is served", () => assert.equal(of({}), null));

test("the machine itself needs no certificates, everybody else does", () => {
  for (const serve of ["unix:/run/x.sock", "127.0.0.1:4245", "127.1.2.3:1", "localhost:4245", "[::1]:4245"]) {
    assert.deepEqual([of({ serve })?.address, of({ serve })?.certificates], [serve, null]);
  }
  for (const serve of ["0.0.0.0:4245", "10.0.0.1:4245", "[::]:4245", "node.example:4245", "127.evil.example:1"]) {
    assert.throws(() => of({ serve }), { code: "PC_USAGE", message: /what every workload of this node does/ }, serve);
    assert.deepEqual(of({ serve, ...certificates })?.certificates, { certificate: "PEM", key: "PEM", clientCa: "PEM" });
  }
});

test("what does not belong together is refused", () => {
  const wrong: [Partial<ServeOptions>, RegExp][] = [
    [{ serve: "4245" }, /not an address/],
    [{ serve: "unix:" }, /not an address/],
    [certificates, /give --serve ADDRESS/],
    [{ serve: "10.0.0.1:1", serveCertificate: file, serveKey: file }, /belong together/],
    [{ serve: "unix:/x", recordsSize: 0 }, /no records are kept/],
    [{ serve: "10.0.0.1:1", ...certificates, serveKey: join(folder, "none") }, /cannot read .*none/],
  ];
  for (const [options, message] of wrong) assert.throws(() => of(options), { message }, JSON.stringify(options));
});
