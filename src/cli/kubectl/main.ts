/** The kubectl plugin: `kubectl portcullis`. What needs the cluster goes by way of kubectl itself. */

import { CommanderError } from "commander";
import { causeCode, PortcullisError, UsageError } from "../../api/errors.ts";
import { candidates, candidatesText } from "../completion/candidates.ts";
import { errorLine } from "../error-line.ts";
import { ExitStatus } from "../exit-status.ts";
import { Kubectl, KubectlError } from "./kubectl.ts";
import { kubectlProgram } from "./program.ts";

/** What kubectl asks by way of kubectl_complete-portcullis. */
const COMPLETE = "__complete";
/** Arguments that are names of objects in the cluster. */
const NAMED: Readonly<Record<string, string>> = { pod: "pods", profile: "securityprofiles", node: "nodes" };

function complete(words: readonly string[]): void {
  const found = candidates(kubectlProgram(), words, (argument) => {
    const resource = NAMED[argument];
    return resource === undefined ? [] : namesOf(resource, words);
  });
  process.stdout.write(candidatesText(found));
}

/** Names in the namespace that the words choose; none where the cluster cannot be asked, which a completion is no place to report. */
function namesOf(resource: string, words: readonly string[]): string[] {
  const isPlace = (word: string) => /^(-n|--namespace|--context|--kubeconfig)(=|$)/.test(word);
  const place = words.flatMap((word, index) => {
    if (!isPlace(word)) return [];
    return word.includes("=") ? [word] : [word, words[index + 1] ?? ""];
  });
  try {
    const names = new Kubectl({}).text("get", resource, ...place, "--output=name", "--request-timeout=2s");
    return names.split("\n").flatMap((name) => name.split("/")[1] ?? []);
  } catch (cause) {
    if (cause instanceof KubectlError) return [];
    throw cause;
  }
}

async function main(args: readonly string[]): Promise<void> {
  const [first, ...words] = args;
  if (first === COMPLETE) return complete(words);
  try {
    await kubectlProgram().parseAsync(withoutSeparator(args), { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? ExitStatus.GOOD : ExitStatus.USAGE;
      return;
    }
    if (!(error instanceof PortcullisError)) throw error;
    process.stderr.write(errorLine(error));
    process.exitCode = error instanceof UsageError ? ExitStatus.USAGE : ExitStatus.NO;
  }
}

/** A question may be set apart by `--`, as one is used to from `kubectl exec`. */
function withoutSeparator(args: readonly string[]): string[] {
  return args[0] === "explain" ? args.filter((text) => text !== "--") : [...args];
}

process.stdout.on("error", (error) => {
  if (causeCode(error) !== "EPIPE") throw error;
  process.exit();
});

await main(process.argv.slice(2));
