/**
 * Text that others have chosen (paths, names, messages that quote them), made safe for whoever reads it at a terminal or in a log: what
 * would move the cursor, colour, hide or reorder other text is written as an escape. Everything that is printed for people goes through here.
 * JSON gets escapes of its own kind, and so stays exact.
 */

/**
 * Control characters (C0, DEL, C1); line and paragraph separators; what has no width (U+200B to U+200D, U+2060 to U+2064, U+FEFF, soft hyphen);
 * what changes the direction of text (UAX #9: marks, embeddings, overrides, isolates); variation selectors' supplement and tags; halves of
 * surrogate pairs.
 */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

/** The text on one line: a newline is an escape too. `a\nb` is `a\x0ab`, an override U+202E is `\u{202e}`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** Text of several lines of our own making, with quoted text in it. */
export function printableLines(text: string): string {
  return text.replace(UNSAFE, (character) => (character === "\n" ? character : escaped(character)));
}

/**
 * A value as JSON. JSON.stringify escapes C0 alone, and a terminal obeys C1 as well (U+009B begins an escape sequence).
 * @param indent spaces for each level; 0: one line
 */
export function jsonText(value: unknown, indent = 0): string {
  return printableJson(JSON.stringify(value, null, indent));
}

/** JSON that is text already, of the same value. Newlines between its values stay. */
export function printableJson(json: string): string {
  return json.replace(UNSAFE, (character) => (character === "\n" ? character : jsonEscaped(character)));
}

/** UTF-16, as JSON has it: what is beyond U+FFFF is a pair. */
function jsonEscaped(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const digits = code.toString(16);
  return code < 0x100 ? `\\x${digits.padStart(2, "0")}` : `\\u{${digits}}`;
}
