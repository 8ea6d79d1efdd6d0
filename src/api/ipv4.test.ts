import assert from "node:assert/strict";
import { isIPv4 } from "node:net";
import { test } from "node:test";
import { formatIpv4, maskIpv4, parseIpv4 } from "./ipv4.ts";

test("what is read is what Node takes for an IPv4 address, and is written as it was", () => {
  const octets = ["0", "1", "9", "10", "99", "100", "199", "255", "256", "00", "01", "1000", "", "-1", "a", " 1", "1 "];
  const texts = octets.flatMap((octet) => [
    `${octet}.2.3.4`,
    `1.${octet}.3.4`,
    `1.2.3.${octet}`,
    octet,
    `1.2.3.4.${octet}`,
  ]);
  for (const text of [...texts, "1.2.3", "1.2.3.4.", ".1.2.3.4", "1..2.3", "::1", "١.2.3.4"]) {
    const address = parseIpv4(text);
    assert.equal(address !== null, isIPv4(text), text);
    if (address !== null) assert.equal(formatIpv4(address), text);
  }
});

test("bits behind the prefix are cleared", () => {
  const masked = (text: string, length: number) => formatIpv4(maskIpv4(parseIpv4(text) ?? 0, length));
  assert.equal(masked("255.255.255.255", 0), "0.0.0.0");
  assert.equal(masked("255.255.255.255", 1), "128.0.0.0");
  assert.equal(masked("10.1.2.3", 24), "10.1.2.0");
  assert.equal(masked("255.255.255.255", 32), "255.255.255.255");
});
