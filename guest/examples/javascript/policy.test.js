import assert from "node:assert/strict";
import { test } from "node:test";

import { policy } from "./policy.js";
import { siteTarget } from "./request.js";

const bytes = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

// A decision in one line: the candidates, the location, or the status.
function decide(target) {
  const { tag, val } = policy.decide({ line: bytes(`GET ${target} HTTP/1.1`), fields: [] });
  switch (tag) {
    case "serve":
      return val.candidates
        .map(({ page, status, location }) =>
          `${page.tag} ${page.val}${location === undefined ? "" : ` to ${status} ${location}`}`)
        .join(", ");
    case "redirect":
      return `${val.status} ${val.location}`;
    case "reply":
      return `reply ${val.status}`;
    default:
      return tag;
  }
}

// The fields of the response if the first candidate is chosen, and of one if none is.
function fields(target) {
  const { val } = policy.decide({ line: bytes(`GET ${target} HTTP/1.1`), fields: [] });
  const named = (fields) =>
    Object.fromEntries(fields.map(({ name, value }) => [name, String.fromCharCode(...value)]));
  const none = named(val.fields);
  return { first: { ...none, ...named(val.candidates[0].fields) }, none };
}

test("a page has one address", () => {
  assert.equal(decide("/about"), "file about.html, file about");
  assert.equal(decide("/about.html?a=b"), "file about.html to 301 /about?a=b");
  assert.equal(decide("/docs/"), "index docs/");
  assert.equal(decide("/docs/index.html?a=b"), "301 /docs/?a=b");
  assert.equal(decide("/index.html"), "301 /");
  assert.equal(decide("/"), "index ");
});

test("a name with a dot is a file", () => {
  assert.equal(decide("/style.css"), "file style.css");
  assert.equal(decide("/v1.2/notes"), "file v1.2/notes.html, file v1.2/notes");
});

test("old addresses of posts are redirects", () => {
  assert.equal(decide("/2019/04/07/hello-world.html"), "301 /posts/hello-world");
  assert.equal(decide("/2019/04/hello-world/"), "301 /posts/hello-world");
  assert.equal(decide("/blog/2019/04/hello?from=feed"), "301 /posts/hello?from=feed");
  assert.equal(decide("/2019/04/caf%C3%A9"), "301 /posts/caf%C3%A9");
  assert.equal(decide("/2019/04/"), "index 2019/04/");
  assert.equal(decide("/2019/04/07/"), "index 2019/04/07/");
  assert.equal(decide("/2019/04/index.html"), "301 /2019/04/");
  assert.equal(decide("/2019/4/hello"), "file 2019/4/hello.html, file 2019/4/hello");
});

test("moved pages are redirects", () => {
  assert.equal(decide("/rss.xml"), "301 /feed.xml");
  assert.equal(decide("/archive"), "301 /posts/");
});

test("no redirect leads to another site", () => {
  assert.equal(decide("//example.org/index.html"), "301 /example.org/");
  assert.equal(decide("/2019/04/%2F%2Fexample.org"), "not-found");
});

test("private names are not found", () => {
  assert.equal(decide("/.git/config"), "not-found");
  assert.equal(decide("/%2egit/config"), "not-found");
  assert.equal(decide("/2019/04/.env"), "not-found");
  assert.equal(decide("/.well-known/security.txt"), "file .well-known/security.txt");
});

test("every response has the security fields", () => {
  assert.match(fields("/").first["content-security-policy"], /frame-ancestors 'none'/);
  for (const response of Object.values(fields("/about"))) {
    assert.equal(response["referrer-policy"], "strict-origin-when-cross-origin");
    assert.equal(response["cache-control"], undefined);
  }
});

test("a file with a fingerprint is immutable, if it is there", () => {
  assert.match(fields("/app.3f2a9c1b.js").first["cache-control"], /immutable/);
  assert.equal(fields("/app.3f2a9c1b.js").none["cache-control"], undefined);
  assert.equal(fields("/app.js").first["cache-control"], undefined);
});

test("request lines have a path or a fault", () => {
  const target = (line) => siteTarget(bytes(line));
  assert.deepEqual(target("GET /a/./b/../c?d HTTP/1.1"), { path: "a/c", query: "?d" });
  assert.deepEqual(target("GET http://h:80/a%20b HTTP/1.0"), { path: "a b", query: "" });
  assert.deepEqual(target("GET http://h?a HTTP/1.1"), { path: "", query: "?a" });
  for (const line of ["", "GET", "GET  / HTTP/1.1", "GET / HTTP/2.0", "GET a HTTP/1.1",
    "GET ? HTTP/1.1", "GET /% HTTP/1.1", "GET /a#b HTTP/1.1", "GET /\xe9 HTTP/1.1",
    "GET http:///a HTTP/1.1", "GET http://u@h/ HTTP/1.1", "GET ftp://h/ HTTP/1.1"]) {
    assert.deepEqual(target(line), { fault: "malformed" }, line);
  }
  for (const line of ["GET /.. HTTP/1.1", "GET /%2e%2e/a HTTP/1.1", "GET /a%2fb HTTP/1.1",
    "GET /a\\b HTTP/1.1", "GET /a%00 HTTP/1.1", "GET /%ff HTTP/1.1", "GET /%ed%a0%80 HTTP/1.1",
    "CONNECT h:443 HTTP/1.1", "OPTIONS * HTTP/1.1"]) {
    assert.deepEqual(target(line), { fault: "nothing" }, line);
  }
});
