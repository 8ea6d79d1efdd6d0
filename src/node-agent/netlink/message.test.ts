import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attribute,
  attributeInteger,
  attributeText,
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  integerAttribute,
  nestedAttribute,
  textAttribute,
} from "./message.ts";

test("a message is laid out as struct nlmsghdr says", () => {
  const message = encodeMessage(18, 0x301, 7, [Buffer.from("01020304", "hex")]);
  assert.equal(message.toString("hex"), "14000000120001030700000000000000" + "01020304");
});

test("attributes are padded, and their length is without the padding", () => {
  assert.equal(attribute(3, Buffer.from("ab")).toString("hex"), "0600030061620000");
  assert.equal(textAttribute(3, "abc").toString("hex"), "0800030061626300");
  assert.equal(integerAttribute(1, -1).toString("hex"), "08000100ffffffff");
  assert.equal(nestedAttribute(18, [integerAttribute(1, 2)]).toString("hex"), "0c001280" + "0800010002000000");
});

test("several messages of a datagram, and their attributes, are read back", () => {
  const one = encodeMessage(16, 0, 1, [Buffer.alloc(16), textAttribute(3, "eth0"), integerAttribute(5, 9)]);
  const two = encodeMessage(3, 2, 1, []);
  const [first, second, ...rest] = decodeMessages(Buffer.concat([one, two]));
  assert.deepEqual([first?.type, second?.type, second?.flags, rest.length], [16, 3, 2, 0]);
  const attributes = decodeAttributes(first?.payload ?? Buffer.alloc(0), 16);
  assert.equal(attributeText(attributes.get(3)), "eth0");
  assert.equal(attributeInteger(attributes.get(5)), 9);
  assert.equal(attributeText(attributes.get(99)), null);
  assert.equal(attributeInteger(attributes.get(99)), null);
});

test("the flags of an attribute's type are not part of it", () => {
  const nested = decodeAttributes(nestedAttribute(18, [integerAttribute(1, 2)]));
  assert.equal(attributeInteger(decodeAttributes(nested.get(18) ?? Buffer.alloc(0)).get(1)), 2);
});

test("lengths that cannot be are refused", () => {
  const message = encodeMessage(16, 0, 1, []);
  message.writeUInt32LE(15, 0);
  assert.throws(() => decodeMessages(message), { code: "PC_NETLINK" });
  message.writeUInt32LE(17, 0);
  assert.throws(() => decodeMessages(message), { code: "PC_NETLINK" });
  assert.throws(() => decodeAttributes(Buffer.from("03000100", "hex")), { code: "PC_NETLINK" });
  assert.throws(() => decodeAttributes(Buffer.from("0900010000000000", "hex")), { code: "PC_NETLINK" });
});
