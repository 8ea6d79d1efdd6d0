/** The kubectl plugin: `kubectl portcullis`. What needs the cluster goes by way of kubectl itself. */

import { Command, CommanderError } from "commander";
import { causeCode, PortcullisError, UsageError } from "../../api/errors.ts";
import { candidates, candidatesText } from "../completion/candidates.ts";
import { errorLine } from "../error-line.ts";
import { ExitStatus } from "../exit-status.ts";
import { packageVersion } from "../package-version.ts";
import { validateCommand } from "../validate/validate.ts";
import { doctorNodeCommand } from "./doctor.ts";
import { explainPodCommand } from "./explain.ts";
import { Kubectl, KubectlError } from "./kubectl.ts";
import { observeCommand } from "./observe.ts";
import { statusCommand } from "./status.ts";

function program(): Command {
  const root = new Command("kubectl portcullis")
    .description("Shows whether a cluster's SecurityProfiles are enforced, what they allow, and what they deny.")
    .version(packageVersion(), "-V, --version")
    .showHelpAfterError("(add --help for help)");
  for (const command of [
    statusCommand(),
    explainPodCommand(),
    validateCommand(),
    observeCommand(),
    doctorNodeCommand(),
  ]) {
    root.addCommand(command.copyInheritedSettings(root).exitOverride());
  }
  return root.exitOverride();
}

/** What kubectl asks by way of kubectl_complete-portcullis. */
const COMPLETE = "__complete";
/** Arguments that are names of objects in the cluster. */
const NAMED: Readonly<Record<string, string>> = { pod: "pods", profile: "securityprofiles", node: "nodes" };

function complete(words: readonly string[]): void {
  const found = candidates(program(), words, (argument) => {
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
    await program().parseAsync(withoutSeparator(args), { from: "user" });
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
