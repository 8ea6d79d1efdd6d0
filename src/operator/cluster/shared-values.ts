/** One copy of what many pods have in common: the same texts and labels come from the API server, and from agents, anew each time. */

/** Beyond this many, all are forgotten: what only one pod has is not kept for ever. */
const MAX_VALUES = 20_000;

const texts = new Map<string, string>();
const labelSets = new Map<string, Record<string, string>>();

/** A text that is equal; the same one for all who ask. */
export function sharedText(text: string): string {
  return shared(texts, text, () => text);
}

/** Labels that are equal; not to be changed. */
export function sharedLabels(labels: Record<string, string>): Record<string, string> {
  return shared(labelSets, JSON.stringify(labels), () => labels);
}

function shared<T>(values: Map<string, T>, key: string, make: () => T): T {
  const known = values.get(key);
  if (known !== undefined) return known;
  if (values.size >= MAX_VALUES) values.clear();
  const value = make();
  values.set(key, value);
  return value;
}
