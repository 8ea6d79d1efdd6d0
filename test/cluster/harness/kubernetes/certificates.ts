/** The cluster's certificates, by openssl: one authority for servers and clients, as kubeadm's default has it in essence. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const DAYS = "30";
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export interface CertificateRequest {
  /** Name of the files. */
  name: string;
  /** E.g. `/O=system:nodes/CN=system:node:node1`. */
  subject: string;
  /** E.g. `IP:10.0.0.1,DNS:localhost`. */
  names: string;
}

/** Makes and keeps them in one folder: `NAME.crt` and `NAME.key`. */
export class Authority {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#openssl("req", "-x509", ...KEY, "-days", DAYS, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt");
    this.#openssl("genrsa", "-out", "sa.key", "2048");
    this.#openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub");
  }

  path(file: string): string {
    return join(this.#folder, file);
  }

  issue({ name, subject, names }: CertificateRequest): void {
    const [key, request, certificate] = [`${name}.key`, `${name}.csr`, `${name}.crt`];
    writeFileSync(this.path("extensions"), `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    this.#openssl("req", ...KEY, "-subj", subject, "-keyout", key, "-out", request);
    const authority = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
    this.#openssl(
      "x509",
      "-req",
      "-in",
      request,
      ...authority,
      "-days",
      DAYS,
      "-out",
      certificate,
      "-extfile",
      "extensions",
    );
  }

  /** A kubeconfig for a client with these credentials. @returns its path */
  kubeconfig(name: string, server: string, user: Readonly<Record<string, string>>): string {
    const path = this.path(`${name}.kubeconfig`);
    const configuration = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "fixture", cluster: { server, "certificate-authority": this.path("ca.crt") } }],
      users: [{ name, user }],
      contexts: [{ name: "fixture", context: { cluster: "fixture", user: name } }],
      "current-context": "fixture",
    };
    writeFileSync(path, JSON.stringify(configuration));
    return path;
  }

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { cwd: this.#folder, stdio: ["ignore", "ignore", "pipe"] });
  }
}
