/** Every command in the pages is one that is there: its subcommand, options, targets, values of the chart and files. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { faultsOf, simpleCommands } from "./command-lines.ts";
import { type Fence, fencesOf, PAGES, ROOT } from "./pages.ts";

const LANGUAGES = ["sh", "text", "yaml", "json"];
const ATTRIBUTES = ["exit", "until", "not-run", "shown-by", "output"];

/** What is wrong with the fence itself. */
function markFaults({ language, attributes }: Fence): string[] {
  const faults = [...attributes.keys()].filter((name) => !ATTRIBUTES.includes(name)).map((name) => `what is ${name}?`);
  if (!LANGUAGES.includes(language)) faults.push(`language "${language}": commands stand in sh, without a prompt`);
  if (attributes.get("not-run") === "") faults.push("not-run without a reason");
  const test = attributes.get("shown-by");
  if (test !== undefined && !existsSync(join(ROOT, test))) faults.push(`shown-by=${test}: there is no such file`);
  return faults;
}

for (const page of PAGES) {
  const fences = fencesOf(page);
  if (fences.length === 0) continue;
  test(`${page}: its commands are there`, () => {
    for (const fence of fences) {
      const commands = fence.language === "sh" ? simpleCommands(fence.text) : [];
      const faults = [...markFaults(fence), ...commands.flatMap(faultsOf)];
      assert.deepEqual(faults, [], `${page}:${fence.line}`);
    }
  });
}

test("what is not there is found", () => {
  const faults = (script: string) => simpleCommands(script).flatMap(faultsOf);
  assert.deepEqual(faults("sudo bin/portcullis validate --strict -o json examples/"), []);
  assert.deepEqual(faults("portcullis run --profile \\\n  examples/none.yaml --profil x -- curl --nothing"), [
    "there is no examples/none.yaml",
    "portcullis run has no option --profil",
  ]);
  assert.deepEqual(faults("true && kubectl portcullis obey web"), ["kubectl portcullis has no command obey"]);
  assert.deepEqual(faults("make demo; make tea"), ["make has no target tea"]);
  assert.deepEqual(faults("helm install p charts/portcullis --set agent.replacePins=true,agent.nothing=1"), [
    "the chart has no value agent.nothing",
  ]);
});
