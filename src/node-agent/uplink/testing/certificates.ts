/** Certificates for tests, made on the spot. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface TestCertificates {
  caFile: string;
  certificate: Buffer;
  key: Buffer;
}

/** A certificate for a name, signed by itself, in a folder; good for so many days from now on, or, below 0, no more. */
export function makeCertificates(folder: string, name: string, days = 2): TestCertificates {
  const file = (ending: string) => join(folder, `${name}.${ending}`);
  const [caFile, keyFile, requestFile] = [file("crt"), file("key"), file("csr")];
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  openssl("req", "-new", "-nodes", ...curve, ...subject, "-keyout", keyFile, "-out", requestFile);
  // `req -x509` takes no days that are over.
  const until = ["-days", String(days), "-copy_extensions", "copyall"];
  openssl("x509", "-req", "-in", requestFile, "-signkey", keyFile, ...until, "-out", caFile);
  return { caFile, certificate: readFileSync(caFile), key: readFileSync(keyFile) };
}
