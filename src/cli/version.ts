/** `portcullis version`. */
import { Command } from "commander";
import { exitStatusHelp } from "./exit-status.ts";
import { packageVersion } from "./package-version.ts";

export function versionCommand(): Command {
  return new Command("version")
    .summary("print the version")
    .description("Prints the version of Portcullis, and of the Node.js that it runs on.")
    .addHelpText("after", `\n${exitStatusHelp({ 0: "printed" })}`)
    .action(() => {
      process.stdout.write(`portcullis ${packageVersion()} (Node.js ${process.versions.node})\n`);
    });
}
