// What a policy in JavaScript needs besides the request line: fields, cookies, parameters and
// passwords of a request, and decisions in few words.
//
// Copy this file into a policy of your own, with `innkeeper.d.ts` for its types. It needs nothing but
// the language: a guest has no URL or TextDecoder.

// The text of the first field of this name, which is written in lower case, or of a fact such as
// ":client-name". `undefined` without one. The policy names it in `interests`.
export function field(fields, name) {
  const found = fields.find((field) => field.name === name);
  return found && toText(found.value);
}

// The value of a cookie, as it was sent (RFC 6265, section 5.4). The policy names "cookie" in
// `interests`.
export function cookie(fields, name) {
  for (const { value } of fields.filter((field) => field.name === "cookie")) {
    for (const pair of toText(value).split(";")) {
      const at = pair.indexOf("=");
      if (at >= 0 && pair.slice(0, at).trim() === name) {
        return pair.slice(at + 1).trim();
      }
    }
  }
  return undefined;
}

// The parameters of a query, with or without its `?`: pairs of a name and a value, decoded as forms
// send them (`+` is a space), in their order. A broken escape stays as it is.
export function parameters(query) {
  const pairs = query.replace(/^\?/, "").split("&").filter((pair) => pair !== "");
  return pairs.map((pair) => {
    const at = pair.indexOf("=");
    const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
    return [unescaped(name), unescaped(value)];
  });
}

// The first value of the parameter with this name.
export function parameter(query, name) {
  return parameters(query).find(([known]) => known === name)?.[1];
}

function unescaped(text) {
  const codes = [];
  for (let at = 0; at < text.length; at += 1) {
    const escape = /^%([0-9a-f]{2})/i.exec(text.slice(at, at + 3));
    codes.push(escape ? parseInt(escape[1], 16) : text[at] === "+" ? 0x20 : text.charCodeAt(at));
    at += escape ? 2 : 0;
  }
  return toText(Uint8Array.from(codes));
}

// The user and the password of `Authorization: Basic …` (RFC 7617). The policy names
// "authorization" in `interests`.
export function basicAuth(fields) {
  const [, scheme, token] = /^(\S+) +(\S+)$/.exec(field(fields, "authorization") ?? "") ?? [];
  if (scheme?.toLowerCase() !== "basic") {
    return undefined;
  }
  try {
    const decoded = toText(Uint8Array.from(atob(token), (byte) => byte.charCodeAt(0)));
    const at = decoded.indexOf(":");
    return at < 0 ? undefined : { user: decoded.slice(0, at), password: decoded.slice(at + 1) };
  } catch {
    // No Base64.
    return undefined;
  }
}

// Whether two texts are equal, in a time that does not tell where they differ.
export function isSameSecret(one, other) {
  let difference = one.length ^ other.length;
  for (let at = 0; at < one.length; at += 1) {
    difference |= one.charCodeAt(at) ^ other.charCodeAt(at % Math.max(other.length, 1));
  }
  return difference === 0;
}

// Serve the index page of a directory: `""` is the root.
export const index = (path) => ({ tag: "index", val: path });

// Serve a file.
export const file = (path) => ({ tag: "file", val: path });

// What a path names: an index page if it is empty or ends with `/`, else a file.
export const page = (path) => (path === "" || path.endsWith("/") ? index(path) : file(path));

// There is nothing here.
export const notFound = () => ({ tag: "not-found" });

// Send the client elsewhere.
export const redirect = (status, location) => ({
  tag: "redirect",
  val: { status, location, fields: [] },
});

// The first of these pages that is there: candidates, as `candidate` makes them.
export const firstOf = (candidates, otherwise) => ({
  tag: "serve",
  val: { candidates, otherwise, fields: [] },
});

// A page for `firstOf`, as `index` or `file` name it, with a status and further fields.
export const candidate = (page, status = 200, fields = {}) => ({
  page,
  status,
  location: undefined,
  fields: Object.entries(fields).map(([name, value]) => ({ name, value: toBytes(value) })),
});

// A response of the policy's own.
export const reply = (status, body, type = "text/plain; charset=utf-8") =>
  withField({ tag: "reply", val: { status, fields: [], body: toBytes(body) } }, "content-type", type);

// A response of the policy's own, in plain text.
export const text = (status, body) => reply(status, body);

// The same in HTML.
export const html = (status, body) => reply(status, body, "text/html; charset=utf-8");

// The same in JSON.
export const json = (status, value) => reply(status, JSON.stringify(value), "application/json");

// The same decision with one more field of the response, whatever it decides.
export function withField(decision, name, value) {
  const added = { name, value: toBytes(value) };
  switch (decision.tag) {
    case "index":
    case "file":
      return withField(firstOf([candidate(decision)]), name, value);
    case "not-found":
      return withField(firstOf([]), name, value);
    default: {
      const { tag, val } = decision;
      return { tag, val: { ...val, fields: [...val.fields, added] } };
    }
  }
}

// The bytes of a text in UTF-8.
export function toBytes(text) {
  const bytes = [];
  for (const character of text.toWellFormed()) {
    const code = character.codePointAt(0);
    if (code < 0x80) {
      bytes.push(code);
    } else {
      const more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
      bytes.push([0, 0xc0, 0xe0, 0xf0][more] | (code >> (6 * more)));
      for (let rest = more - 1; rest >= 0; rest -= 1) {
        bytes.push(0x80 | ((code >> (6 * rest)) & 0x3f));
      }
    }
  }
  return Uint8Array.from(bytes);
}

// The text of bytes in UTF-8. Bytes that are none become U+FFFD.
export function toText(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at];
    const more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
    let code = more === 0 ? first : first & (0x3f >> more);
    let taken = 1;
    for (; taken <= more && (bytes[at + taken] & 0xc0) === 0x80; taken += 1) {
      code = (code << 6) | (bytes[at + taken] & 0x3f);
    }
    const isWhole = more >= 0 && taken === more + 1 && code >= [0, 0x80, 0x800, 0x10000][more];
    const isCharacter = isWhole && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    text += isCharacter ? String.fromCodePoint(code) : "\ufffd";
    at += isCharacter ? taken : 1;
  }
  return text;
}
