/** Names with `*` for any text, as filters have them. */

/** Whether a name is one of these; upper and lower case are the same, as in DNS. */
export function namePattern(patterns: readonly string[]): (name: string) => boolean {
  const wanted = patterns.map((pattern) => pattern.toLowerCase().replace(/\.$/, "").split("*"));
  return (name) => {
    const text = name.toLowerCase();
    return wanted.some((parts) => hasParts(text, parts));
  };
}

/** Without going back: whoever chooses names and patterns cannot make it take long. */
function hasParts(text: string, parts: readonly string[]): boolean {
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let position = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return text.length - last.length >= position && text.endsWith(last);
}
