import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonText, printable, printableJson, printableLines } from "./printable.ts";

test("what a terminal would obey is written as an escape", () => {
  assert.equal(printable("/bin/\u001b[2J\u0007x"), "/bin/\\x1b[2J\\x07x");
  assert.equal(printable("a\nb\rc\td\u009bm\u007f"), "a\\x0ab\\x0dc\\x09d\\x9bm\\x7f");
});

test("what reorders or hides text is written as an escape", () => {
  assert.equal(printable("/bin/\u202egpj.\u2066sh\u2069"), "/bin/\\u{202e}gpj.\\u{2066}sh\\u{2069}");
  assert.equal(printable("cu\u200brl\ufeff\u00ad\u2028"), "cu\\u{200b}rl\\u{feff}\\xad\\u{2028}");
  assert.equal(printable("tag\u{e0041}"), "tag\\u{e0041}");
  assert.equal(printable("half\ud83d"), "half\\u{d83d}");
});

test("other text stays as it is", () => {
  const text = "/opt/Grüße/日本語/😀 - (x) \\x1b";
  assert.equal(printable(text), text);
  assert.equal(printableLines(`a\n  b\u001b`), "a\n  b\\x1b");
});

test("JSON has what a terminal would obey as escapes, and the same value", () => {
  const value = { path: "/bin/\u001b[2J\u009b2J\u007f\u202egpj\u{e0041}", "key\u0085": ["Grüße 😀", "half\ud83d"] };
  for (const indent of [0, 2]) {
    const text = jsonText(value, indent);
    assert.doesNotMatch(text, /[^\n\P{C}]/u);
    assert.deepEqual(JSON.parse(text), value);
  }
  assert.match(jsonText(value), /u001b\[2J\\u009b2J\\u007f\\u202egpj\\udb40\\udc41.*Grüße 😀/);
  assert.equal(printableJson('{"a":\n "\u009b"}\n'), '{"a":\n "\\u009b"}\n');
});
