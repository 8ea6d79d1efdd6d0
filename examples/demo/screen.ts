/** What the demo shows: calm in a log, coloured on a terminal. */
import { wantsColours } from "../../src/node-agent/events/text.ts";

const RESET = "\u001b[0m";
const STYLES = {
  bold: "\u001b[1m",
  dim: "\u001b[2m",
  red: "\u001b[31m",
  green: "\u001b[32m",
  yellow: "\u001b[33m",
  cyan: "\u001b[36m",
} as const;
export type Style = keyof typeof STYLES;

export interface Output {
  isTTY?: boolean;
  write(text: string): unknown;
}

const INDENT = "     ";
const GUTTER = "  │ ";

export class Screen {
  readonly #output: Output;
  readonly #colours: boolean;
  #muted = false;

  constructor(output: Output, environment: NodeJS.ProcessEnv = process.env) {
    this.#output = output;
    this.#colours = wantsColours(output, environment);
  }

  /** True where a person looks on, and wants time to read. */
  get isTerminal(): boolean {
    return this.#output.isTTY === true;
  }

  paint(style: Style, text: string): string {
    return this.#colours && text !== "" ? `${STYLES[style]}${text}${RESET}` : text;
  }

  line(text = ""): void {
    if (!this.#muted) this.#output.write(`${text}\n`);
  }

  /** A step's heading. */
  heading(number: number, total: number, title: string): void {
    this.line();
    this.line(
      `${this.paint("cyan", String(number).padStart(2))}${this.paint("dim", `/${total}`)} ${this.paint("bold", title)}`,
    );
  }

  /** What is going to happen, and what the profile says. */
  explain(...lines: string[]): void {
    for (const line of lines) this.line(`${INDENT}${line}`);
  }

  /** A command, as typed in a pod (or on the node). */
  command(where: string, command: string): void {
    this.line(`${INDENT}${this.paint("dim", `${where} $`)} ${this.paint("bold", command)}`);
  }

  /** What a command said. */
  result(text: string): void {
    for (const line of text.trimEnd().split("\n")) if (line !== "") this.line(`${INDENT}${line}`);
  }

  /** A line of the agent's, beside what causes it. */
  verdict(text: string): void {
    this.line(`${INDENT}${this.paint("dim", GUTTER)}${text}`);
  }

  conclude(text: string): void {
    this.line(`${INDENT}${this.paint("green", "✔")} ${text}`);
  }

  failed(text: string): void {
    const [first = "", ...rest] = text.split("\n");
    this.line(`${INDENT}${this.paint("red", "✘")} ${first}`);
    for (const line of rest) this.line(`${INDENT}  ${line}`);
  }

  /** Shows nothing from now on: the demo was interrupted, and its steps only run out. */
  mute(): void {
    this.#muted = true;
  }
}

/** Lines with their columns aligned; a row's cells may be styled afterwards, by column. */
export function columns(rows: readonly (readonly string[])[]): string[][] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    });
  return rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)));
}
