/** `portcullis completion`: what a shell has to read to complete command lines. The candidates come from the command itself. */
import { Argument, Command } from "commander";
import { exitStatusHelp } from "../exit-status.ts";

const BASH = `# bash completion for portcullis
_portcullis() {
  local line typed="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :0) compopt -o filenames; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$typed") ;;
      :*) ;;
      *) COMPREPLY+=("\${line%%$'\t'*}") ;;
    esac
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _portcullis portcullis
`;

const ZSH = `#compdef portcullis
_portcullis() {
  local line word
  local -a found
  "\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null | while IFS= read -r line; do
    case "$line" in
      :0) _files ;;
      :*) ;;
      *) word="\${line%%$'\t'*}"; found+=("\${word//:/\\:}:\${line#*$'\t'}") ;;
    esac
  done
  (( \${#found} )) && _describe portcullis found
}
if [ "$funcstack[1]" = _portcullis ]; then _portcullis "$@"; else compdef _portcullis portcullis; fi
`;

const FISH = `# fish completion for portcullis
function __portcullis_complete
  set -l words (commandline --tokenize --cut-at-cursor --current-process)
  set -l typed (commandline --current-token --cut-at-cursor)
  for line in ($words[1] __complete $words[2..] "$typed" 2>/dev/null)
    switch $line
      case ':0'
        __fish_complete_path $typed
      case ':*'
      case '*'
        echo $line
    end
  end
end
complete --command portcullis --no-files --arguments '(__portcullis_complete)'
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const;
export type Shell = keyof typeof SCRIPTS;
export const SHELLS = Object.keys(SCRIPTS) as Shell[];

const EXAMPLES = `
Examples:
  source <(portcullis completion bash)
  portcullis completion zsh > "\${fpath[1]}/_portcullis"
  portcullis completion fish > ~/.config/fish/completions/portcullis.fish

\`make install\` puts all three where the shells look for them. For the kubectl plugin, have
kubectl_complete-portcullis on the PATH, and kubectl's own completion.

${exitStatusHelp({ 0: "printed" })}`;

export function completionCommand(): Command {
  return new Command("completion")
    .summary("print the completions of a shell")
    .description("Prints a script that completes the commands, options and values of portcullis in a shell.")
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .addHelpText("after", EXAMPLES)
    .action((shell: Shell) => {
      process.stdout.write(completionScript(shell));
    });
}

export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}
