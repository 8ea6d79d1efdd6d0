/** The kubectl plugin with its commands, as commander knows them. */
import { Command } from "commander";
import { withFittingHelp } from "../help-text.ts";
import { packageVersion } from "../package-version.ts";
import { validateCommand } from "../validate/validate.ts";
import { doctorNodeCommand } from "./doctor.ts";
import { explainPodCommand } from "./explain.ts";
import { observeCommand } from "./observe.ts";
import { statusCommand } from "./status.ts";

export function kubectlProgram(): Command {
  const root = withFittingHelp(new Command("kubectl portcullis"))
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
