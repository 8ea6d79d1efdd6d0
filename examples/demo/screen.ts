/** What the demo shows: calm in a log, coloured on a terminal, and no wider than that. */
import { BOLD, CYAN, DIM, GREEN, type Paint, painter, RED, wantsColours } from "../../src/terminal/colours.ts";
import { fold } from "../../src/terminal/fit.ts";
import { lineWidth } from "../../src/terminal/width.ts";

export interface Output {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const INDENT = "     ";
const GUTTER = "  │ ";
/** Of a line in a log. */
const LOG_WIDTH = 100;

export class Screen {
  readonly #output: Output;
  /** Colours a text, where there are colours. */
  readonly paint: Paint;
  /** Columns of a line. */
  readonly width: number;
  #muted = false;

  constructor(output: Output, environment: NodeJS.ProcessEnv = process.env) {
    this.#output = output;
    this.paint = painter(wantsColours(output, environment));
    const width = lineWidth(output, environment);
    this.width = Number.isFinite(width) ? width : LOG_WIDTH;
  }

  /** Columns beside the indent. */
  get innerWidth(): number {
    return this.width - INDENT.length;
  }

  /** Columns of a line of the agent's. */
  get verdictWidth(): number {
    return this.innerWidth - GUTTER.length;
  }

  /** True where a person looks on, and wants time to read. */
  get isTerminal(): boolean {
    return this.#output.isTTY === true;
  }

  line(text = ""): void {
    if (!this.#muted) this.#output.write(`${text.trimEnd()}\n`);
  }

  /** A step's heading. */
  heading(number: number, total: number, title: string): void {
    this.line();
    this.line(
      `${this.paint(CYAN, String(number).padStart(2))}${this.paint(DIM, `/${total}`)} ${this.paint(BOLD, title)}`,
    );
  }

  /** What is going to happen, and what the profile says. */
  explain(...paragraphs: string[]): void {
    for (const text of paragraphs) this.#fold(text);
  }

  #fold(text: string, hanging = 0): void {
    for (const line of fold(text, this.innerWidth, hanging)) this.line(`${INDENT}${line}`);
  }

  /** A command, as typed in a pod (or on the node). */
  command(where: string, command: string): void {
    this.#fold(`${this.paint(DIM, `${where} $`)} ${this.paint(BOLD, command)}`, where.length + 3);
  }

  /** What a command said. */
  result(text: string): void {
    for (const line of text.trimEnd().split("\n")) if (line !== "") this.line(`${INDENT}${line}`);
  }

  /** A line of the agent's, beside what causes it. */
  verdict(text: string): void {
    for (const line of fold(text, this.verdictWidth)) this.line(`${INDENT}${this.paint(DIM, GUTTER)}${line}`);
  }

  conclude(text: string): void {
    this.#fold(`${this.paint(GREEN, "✔")} ${text}`, 2);
  }

  failed(text: string): void {
    const [first = "", ...rest] = text.split("\n");
    this.line(`${INDENT}${this.paint(RED, "✘")} ${first}`);
    for (const line of rest) this.line(`${INDENT}  ${line}`);
  }

  /** Shows nothing from now on: the demo was interrupted, and its steps only run out. */
  mute(): void {
    this.#muted = true;
  }
}
