/** A configuration of nginx whose files all stay in a test's own folder. */
import { writeFileSync } from "node:fs";
import type { Fixture } from "../harness/fixture.ts";

/**
 * @param server what stands in its one `server { }`
 * @param name where several run in one fixture: of its files
 * @returns the arguments to start it with
 */
export function nginxArguments(fixture: Fixture, server: string, name = "nginx"): string[] {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind, index) => `${kind}_temp_path ${fixture.path(`${name}-t${index + 1}`)};`,
  );
  const conf = fixture.path(`${name}.conf`);
  writeFileSync(
    conf,
    `worker_processes 2; daemon off; pid ${fixture.path(`${name}.pid`)}; error_log stderr warn; user root;
events { worker_connections 64; }
http { access_log off; ${temporary.join(" ")} server { ${server} } }
`,
  );
  return ["-e", "stderr", "-p", fixture.path(), "-c", conf];
}
