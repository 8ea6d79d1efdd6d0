/** Text that fits a terminal: widths, shortening, folding, tables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fold, shorten, shortenPath, visibleLength } from "./fit.ts";
import { tableLines } from "./table.ts";
import { lineWidth } from "./width.ts";

test("COLUMNS decides, then the terminal; a pipe or a file has no limit", () => {
  assert.equal(lineWidth({ isTTY: true, columns: 132 }, {}), 132);
  assert.equal(lineWidth({ isTTY: true, columns: 132 }, { COLUMNS: "90" }), 90);
  assert.equal(lineWidth({}, { COLUMNS: "90" }), 90);
  assert.equal(lineWidth({}, {}), Number.POSITIVE_INFINITY);
  assert.equal(lineWidth({}, { COLUMNS: "wide" }), Number.POSITIVE_INFINITY);
  assert.equal(lineWidth({ isTTY: true }, {}), 80);
  assert.equal(lineWidth({ isTTY: true, columns: 40 }, {}), 60);
});

test("a path gives up folders before the name of its file", () => {
  const path = "/usr/local/lib/nginx/sbin/nginx";
  assert.equal(shortenPath(path, 40), path);
  assert.equal(shortenPath(path, 28), "/usr/local/lib/nginx/…/nginx");
  assert.equal(shortenPath(path, 27), "/usr/local/lib/…/nginx");
  assert.equal(shortenPath(path, 12), "/usr/…/nginx");
  assert.equal(shortenPath(path, 8), "…/nginx");
  assert.equal(shortenPath("/a/very-long-file-name", 11), "very-…-name");
  assert.equal(shortenPath("db.prod.svc.cluster.local", 11), "db.pr…local", "a name is no path");
  for (let width = 1; width < 40; width += 1) assert.ok(shortenPath(path, width).length <= width, `${width}`);
});

test("other text keeps its beginning and its end", () => {
  assert.equal(shorten("payload.example.com", 11), "paylo…e.com");
  assert.equal(shorten("short", 5), "short");
});

test("text is folded between words, colours take no room, and a long word stays whole", () => {
  assert.deepEqual(fold("one two three", 7, 2), ["one two", "  three"]);
  const red = "\u001b[31mone\u001b[0m";
  assert.equal(visibleLength(red), 3);
  assert.deepEqual(fold(`${red} two`, 7), [`${red} two`]);
  assert.deepEqual(fold("a /quite/a/long/path b", 6), ["a", "/quite/a/long/path", "b"]);
  assert.deepEqual(fold("one two", Number.POSITIVE_INFINITY), ["one two"]);
});

test("a table keeps to its width: numbers stay, paths give way, the last column is folded", () => {
  const rows = [
    ["PATH", "COUNT", "WHY"],
    ["/usr/local/lib/nginx/sbin/nginx", "7", "no rule of this process allows this address"],
  ];
  const lines = tableLines(rows, { fits: ["path", "right", "fold"], width: 44, indent: "  " });
  assert.deepEqual(lines, [
    "  PATH          COUNT  WHY",
    "  /usr/…/nginx      7  no rule of this",
    "                       process allows this",
    "                       address",
  ]);
  const whole = tableLines(rows, { fits: ["path", "right", "fold"], width: Number.POSITIVE_INFINITY });
  assert.deepEqual(whole[1], `${rows[1]?.[0]}      7  ${rows[1]?.[2]}`);
});

test("control characters in cells are escapes before the columns are measured", () => {
  const [line] = tableLines([["a\u001b[2J", "b"]], { fits: ["keep", "keep"], width: 80 });
  assert.equal(line, "a\\x1b[2J  b");
});
