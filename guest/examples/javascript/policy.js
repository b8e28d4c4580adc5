// A policy for a blog: clean URLs, redirects of its old addresses, and a set of
// security fields.
//
// It exports the interface of `wit/policy.wit`, and is a plain module too:
// `policy.test.js` tests it without WebAssembly.

import { candidate, file, index, notFound, redirect, toBytes } from "./innkeeper.js";
import { siteTarget } from "./request.js";

// Pages that moved for good, by their old path.
const MOVED = new Map([
  ["feed", "/feed.xml"],
  ["rss.xml", "/feed.xml"],
  ["about-me", "/about"],
  ["archive", "/posts/"],
]);

// A post at one of its old addresses: `2019/04/07/title.html`, `blog/2019/04/title/`. But
// `2019/04/07/` is the archive of a day.
const OLD_POST = /^(?:blog\/)?\d{4}\/\d\d\/(?:\d\d\/)?(?!\d\d\/?$)([^/]+?)(?:\.html|\/)?$/;

// A file with its version in its name: `app.3f2a9c1b.js`, `site-0d9f31c2.css`.
const FINGERPRINT = /[.-][0-9a-f]{8,}\.[a-z0-9]+$/;

// Fields of every response about a file of the site, also of a 404. The host adds
// `X-Content-Type-Options: nosniff`.
const SECURITY = [
  field("content-security-policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
  field("cross-origin-opener-policy", "same-origin"),
  field("permissions-policy", "camera=(), geolocation=(), microphone=()"),
  field("referrer-policy", "strict-origin-when-cross-origin"),
];

const FOREVER = field("cache-control", "public, max-age=31536000, immutable");

export const policy = {
  // The policy reads the request line alone.
  interests() {
    return [];
  },

  decide({ line }) {
    const { path, query, fault } = siteTarget(line);
    if (fault === "malformed") {
      return reply(400, "malformed request line\n");
    }
    if (fault === "nothing" || isPrivate(path)) {
      return notFound();
    }
    const location = newAddress(path);
    if (location !== undefined) {
      return redirect(301, location + query);
    }
    return serve(candidates(path, query), SECURITY);
  },
};

// The new location of a path, or `undefined` if it has not moved.
function newAddress(path) {
  if (MOVED.has(path)) {
    return MOVED.get(path);
  }
  // A page has one address: a directory without `index.html`, others without `.html`.
  if (path === "index.html" || path.endsWith("/index.html")) {
    return escaped(path.slice(0, -"index.html".length));
  }
  const post = OLD_POST.exec(path);
  if (post !== null) {
    return escaped(`posts/${post[1]}`);
  }
  return undefined;
}

// The candidates of a path: the host does the first whose page is there. If one is a directory,
// and nothing else is there, it redirects to the same address with a `/` at its end.
function candidates(path, query) {
  if (path === "" || path.endsWith("/")) {
    return [candidate(index(path))];
  }
  // A page that is not there is a 404, and no redirect to one.
  if (path.endsWith(".html")) {
    const location = escaped(path.slice(0, -".html".length)) + query;
    return [{ ...candidate(file(path)), status: 301, location }];
  }
  // May be cached for ever, if it is there.
  if (FINGERPRINT.test(path)) {
    return [{ ...candidate(file(path)), fields: [FOREVER] }];
  }
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.includes(".")
    ? [candidate(file(path))]
    : [candidate(file(`${path}.html`)), candidate(file(path))];
}

// Whether a name begins with a dot, other than `.well-known` at the root (RFC 8615).
function isPrivate(path) {
  return path
    .split("/")
    .some((name, depth) => name.startsWith(".") && !(depth === 0 && name === ".well-known"));
}

// A path, escaped for a URL.
function escaped(path) {
  return `/${path.split("/").map(encodeURIComponent).join("/")}`;
}

// The types of `wit/policy.wit`, as JavaScript has them.

function field(name, value) {
  return { name, value: toBytes(value) };
}

function serve(candidates, fields) {
  return { tag: "serve", val: { candidates, otherwise: undefined, fields } };
}

function reply(status, text) {
  return { tag: "reply", val: { status, fields: [], body: toBytes(text) } };
}
