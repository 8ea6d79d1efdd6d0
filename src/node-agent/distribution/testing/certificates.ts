/** Certificates for tests, made on the spot. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface TestCertificates {
  caFile: string;
  certificate: Buffer;
  key: Buffer;
}

/** A certificate for a name, signed by itself, in a folder. */
export function makeCertificates(folder: string, name: string): TestCertificates {
  const [caFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const files = ["-keyout", keyFile, "-out", caFile];
  execFileSync("openssl", ["req", "-x509", "-nodes", "-days", "2", ...curve, ...subject, ...files], {
    stdio: "ignore",
  });
  return { caFile, certificate: readFileSync(caFile), key: readFileSync(keyFile) };
}
