/** Colours of a terminal, as SGR sequences. */
export const RED = "\u001b[31m";
export const GREEN = "\u001b[32m";
export const YELLOW = "\u001b[33m";
export const CYAN = "\u001b[36m";
export const DIM = "\u001b[2m";
export const BOLD = "\u001b[1m";
const RESET = "\u001b[0m";

/** Colours a text, or leaves it. */
export type Paint = (colour: string, text: string) => string;

export function painter(colours: boolean): Paint {
  return (colour, text) => (colours && text !== "" ? `${colour}${text}${RESET}` : text);
}

/** True if lines to this stream should have colours (https://no-color.org, FORCE_COLOR as Node reads it). */
export function wantsColours(stream: { isTTY?: boolean }, environment: NodeJS.ProcessEnv = process.env): boolean {
  if ((environment.NO_COLOR ?? "") !== "") return false;
  if ((environment.FORCE_COLOR ?? "0") !== "0") return true;
  return stream.isTTY === true && environment.TERM !== "dumb";
}
