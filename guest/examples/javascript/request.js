// The request line, parsed: the path of the site that it names.
//
// Copy this file into a policy of your own. It follows the default policy, in
// `guest/src/line.rs` and `guest/src/path.rs`.

// The path below the site's root that a request line names, and its query.
//
// - `{ path, query }`: the path is decoded, has no `.` and `..`, and does not begin
//   with `/`; that of a directory ends with `/`, and the root is `""`. The query is
//   unchanged, with its `?`, or `""`.
// - `{ fault: "malformed" }`: the line is no request line.
// - `{ fault: "nothing" }`: it is a request line that can name nothing here.
export function siteTarget(line) {
  // The host asks about visible ASCII alone, except when it validates a guest.
  let text = "";
  for (const byte of line) {
    if (byte < 0x20 || byte > 0x7e) {
      return { fault: "malformed" };
    }
    text += String.fromCharCode(byte);
  }
  const parts = /^([^ ]+) ([^ #]+) HTTP\/1\.\d$/.exec(text);
  if (parts === null) {
    return { fault: "malformed" };
  }
  const [, method, target] = parts;
  if (method === "CONNECT" || (method === "OPTIONS" && target === "*")) {
    return { fault: "nothing" };
  }
  // `/path?query`, or the same with `http://host` before it.
  const form = /^(?:https?:\/\/[^/?@]+)?(\/[^?]*)?(\?.*)?$/i.exec(target);
  if (form === null || target.startsWith("?")) {
    return { fault: "malformed" };
  }
  const path = resolve(form[1] ?? "/");
  return typeof path === "string" ? { path, query: form[2] ?? "" } : path;
}

// Decodes each name of a path once, and then resolves dots (RFC 3986, section 5.2.4).
function resolve(path) {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) {
    return { fault: "malformed" };
  }
  const names = [];
  let isDirectory = true;
  for (const segment of path.slice(1).split("/")) {
    let name;
    try {
      name = decodeURIComponent(segment);
    } catch {
      // Not UTF-8.
      return { fault: "nothing" };
    }
    isDirectory = name === "" || name === "." || name === "..";
    if (name === "..") {
      if (names.pop() === undefined) {
        // Above the root.
        return { fault: "nothing" };
      }
    } else if (name !== ".") {
      // An escaped separator, or a control character: no file of a site.
      if (/[/\\\x00-\x1f\x7f]/.test(name)) {
        return { fault: "nothing" };
      }
      names.push(name);
    }
  }
  const resolved = names.filter((name) => name !== "").join("/");
  return isDirectory && resolved !== "" ? `${resolved}/` : resolved;
}
