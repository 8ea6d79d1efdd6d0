/**
 * The commands of each page are run as printed, in order, in one shell, and print what the page shows. Manifests in pages are valid.
 * DOCS_OUTPUT=yes shows what each command prints, for whoever writes a page.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { PORTCULLIS } from "../e2e/harness/agent-under-test.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { fencesOf, isRun, PAGES } from "./pages.ts";
import { runPage, startInternet, ZONE } from "./session.ts";
import { unprinted } from "./shown-output.ts";

const fixture = await Fixture.start("docs", { apps: [], zone: ZONE, startAgent: false });
await startInternet(fixture);

for (const [number, page] of PAGES.entries()) {
  const fences = fencesOf(page);
  const commands = fences.filter(isRun);
  if (commands.length > 0) {
    test(`${page}: ${commands.length} blocks of commands`, async () => {
      const outcomes = await runPage(fixture, `page-${number}`, commands);
      const printed = outcomes.map(({ output }) => output).join("\n");
      for (const { fence, status, output } of outcomes) {
        if (process.env.DOCS_OUTPUT === "yes") console.log(`${fence.text}${output}`);
        const expected = Number(fence.attributes.get("exit") ?? "0");
        assert.equal(status, expected, `${page}:${fence.line}: status ${status}\n${fence.text}\n${output || printed}`);
        const next = fences[fences.indexOf(fence) + 1];
        if (next?.attributes.has("output") !== true) continue;
        assert.deepEqual(unprinted(next.text, output), [], `${page}:${next.line}, of\n${output}`);
      }
    });
  }

  const manifests = fences.filter(({ language, text }) => language === "yaml" && /^kind: SecurityProfile$/m.test(text));
  if (manifests.length > 0) {
    test(`${page}: its profiles are valid`, () => {
      for (const { text, line } of manifests) {
        const { status, stdout } = spawnSync(PORTCULLIS, ["validate", "-"], { input: text, encoding: "utf8" });
        assert.equal(status, 0, `${page}:${line}: ${stdout}`);
      }
    });
  }
}
