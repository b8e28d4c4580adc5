import assert from "node:assert/strict";
import { test } from "node:test";

import * as innkeeper from "./innkeeper.js";

const fields = Object.entries({
  cookie: "a=1; session=x=y ;b",
  authorization: `Basic ${btoa("alice:open:sesame")}`,
  "x-name": "J\u00fcrgen",
}).map(([name, value]) => ({ name, value: innkeeper.toBytes(value) }));

test("fields, cookies and passwords are texts", () => {
  assert.equal(innkeeper.field(fields, "x-name"), "J\u00fcrgen");
  assert.equal(innkeeper.field(fields, "x-other"), undefined);
  assert.equal(innkeeper.cookie(fields, "session"), "x=y");
  assert.equal(innkeeper.cookie(fields, "b"), undefined);
  assert.deepEqual(innkeeper.basicAuth(fields), { user: "alice", password: "open:sesame" });
  for (const value of ["", "Basic", "Basic !", "Bearer abc", `Basic ${btoa("alice")}`]) {
    const field = { name: "authorization", value: innkeeper.toBytes(value) };
    assert.equal(innkeeper.basicAuth([field]), undefined, value);
  }
  assert.equal(innkeeper.isSameSecret("secret", "secret"), true);
  for (const other of ["", "secre", "secrets", "Secret"]) {
    assert.equal(innkeeper.isSameSecret("secret", other), false, other);
    assert.equal(innkeeper.isSameSecret(other, "secret"), false, other);
  }
});

test("parameters are decoded", () => {
  assert.deepEqual(innkeeper.parameters("?a=1&b&a=%C3%BC+%2B&&c=%zz%ff"), [
    ["a", "1"], ["b", ""], ["a", "\u00fc +"], ["c", "%zz\ufffd"],
  ]);
  assert.equal(innkeeper.parameter("?q=a%20b", "q"), "a b");
  assert.equal(innkeeper.parameter("", "q"), undefined);
});

test("any decision takes a field", () => {
  const { index, file, notFound, redirect, text } = innkeeper;
  for (const decision of [index(""), file("a"), notFound(), redirect(301, "/a"), text(200, "a")]) {
    const { val } = innkeeper.withField(decision, "x-a", "1");
    assert.deepEqual(val.fields.at(-1), { name: "x-a", value: innkeeper.toBytes("1") });
  }
  const { val } = innkeeper.withField(file("a"), "x-a", "1");
  assert.deepEqual(val.candidates[0].page, { tag: "file", val: "a" });
});

test("texts and bytes are one another's", () => {
  const texts = ["", "plain", "\u00fc", "\u4f60\u597d", "\u{1f600}", "\u0000\u007f\u0080\u07ff\u0800\uffff"];
  for (const text of texts) {
    assert.equal(innkeeper.toText(innkeeper.toBytes(text)), text);
  }
  for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe4, 0xbd]]) {
    assert.match(innkeeper.toText(Uint8Array.from(bytes)), /^\ufffd+$/, String(bytes));
  }
});
