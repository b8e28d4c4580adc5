// Shows what /status tells, asked once a second, and hands guests over.
//
// Request lines come from strangers and decisions from guests. So every text goes into the page as
// text, by `append` and `replaceChildren`; nothing here is ever read as HTML.

const EVERY_MS = 1000;
// A status takes a millisecond. A request that takes this long is aborted and sent again.
const PATIENCE_MS = 5000;
// Requests are asked for less often than figures: people read them.
const REQUESTS_EVERY_MS = 5000;
// Requests whose responses change that are deployed without a question, of a hundred.
const FEW_PERCENT = 10;
const CLASSES = ["2xx", "3xx", "4xx", "5xx"];

// The site that the page is of, where there are several: it stands in the address of the page.
const site = new URLSearchParams(location.search).get("site");
const ofSite = (path) => (site === null ? path : `${path}?${new URLSearchParams({ site })}`);
let status = null; // The last one that was received,
let received = null; // and when.
let lookedAt = -Infinity; // When requests were asked for.
let candidate = null; // The guest or data that was checked, with its bytes and its report.
let isBusy = false;
// What was told of a guest that became active: the paragraph, and the guest.
const spoken = new Map();
let askNow = () => {};

const at = (id) => document.getElementById(id);
const short = (digest) => digest.slice(0, 12);
const { format: figure } = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const { format: count } = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const { format: time } = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...content);
  return element;
}

const code = (text) => make("code", "", text);
const digestCode = (digest) => Object.assign(code(short(digest)), { title: digest });
const codes = (none) => (texts) => (texts.length > 0 ? texts.map(code) : none);
const some = (named) => Object.fromEntries(Object.entries(named).filter(([, n]) => n > 0));
const counts = (named) => Object.entries(named).map(([name, n]) => `${name}\u00a0${figure(n)}`).join(", ");

// Writes only what has changed: otherwise each second would clear a selection and restart a
// screen reader.
const written = new Map();
function fill(id, value, draw = String) {
  const key = JSON.stringify(value);
  if (written.get(id) === key) return;
  written.set(id, key);
  at(id).replaceChildren(...[draw(value)].flat());
}

function tell(id, text, mood = "") {
  fill(id, text);
  at(id).classList.toggle("good", mood === "good");
  at(id).classList.toggle("bad", mood === "bad");
}

const milliseconds = (ms) => (
  ms === null ? "–" : ms < 1 ? `${figure(Math.round(1000 * ms))}\u00a0µs` : `${count(ms)}\u00a0ms`
);

function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10));
  return `${figure(size / 1024 ** power)}\u00a0${units[power]}`;
}

// The two largest units: "3 h 4 min".
function duration(seconds) {
  const units = [["d", 86400, Infinity], ["h", 3600, 24], ["min", 60, 60], ["s", 1, 60]];
  const parts = units.map(([unit, length, most]) => [Math.floor(seconds / length) % most, unit]);
  const first = parts.findIndex(([count, unit]) => count > 0 || unit === "s");
  return parts.slice(first, first + 2).flat().join(" ");
}

// ---- The status ----

function originOf({ origin, file, data }) {
  if (origin === "built-in") return "built in";
  if (origin === "rules") return "rules";
  const files = [file, data].filter((one) => one !== null).flatMap((one) => [" or ", code(one)]).slice(1);
  if (origin === "file") return files.map((part) => (part === " or " ? " with " : part));
  return ["upload", ...(file === null ? [] : ["; active until ", ...files, " changes"])];
}

function show() {
  const { guest, sandbox, previous, history, reloads, connections } = status;
  fill("version", status.version);
  tell("state", status.ready ? "ready" : "stopping", status.ready ? "good" : "bad");
  fill("link", status.ready ? "" : "The server is stopping: it finishes the requests in flight.");
  showSites().catch(() => {});
  if (guest === null) {
    fill("link", `This site is not served: ${status.site_error}`);
    fill("root", status.root, code);
    return refresh();
  }
  showGuest("", guest);
  fill("before-root", status.previous_root !== status.active_root ? status.previous_root : null,
    (root) => (root === null ? "" : [", with the root ", code(root)]));
  fill("origin", { origin: guest.origin, file: guest.file, data: guest.data_file }, originOf);
  fill("root", [status.root, status.active_root], ([root, active]) =>
    (root === active ? code(root) : [code(root), ", which is ", code(active)]));
  fill("listeners", status.listeners, codes("none"));
  fill("workers", status.workers);
  fill("uptime", `${duration(status.uptime_s)}, since ${time(new Date(status.started))}`);
  const { files, system_calls: calls } = sandbox;
  const enforced = `files ${files} confined, system calls ${calls} filtered`;
  fill("sandbox", files === "off" && calls === "off" ? "off" : enforced);
  at("before").hidden = previous === null;
  fill("previous", previous, (digest) => (digest === null ? "" : digestCode(digest)));
  showRules(status.rules?.sources ?? status.rules ?? [], status.rules?.warnings ?? 0);
  fill("requests", status.requests === null ? "–" : figure(status.requests));
  fill("connections", figure(connections.idle + connections.active));
  fill("connections-by-state", counts(connections));
  const { decision_cache_hits: hits, decision_cache_misses: misses } = guest;
  fill("cache-share", hits + misses > 0 ? `${figure((100 * hits) / (hits + misses))} %` : "–");
  fill("cache-counts", `${count(hits)} of ${count(hits + misses)} of this guest`);
  const failures = Object.values(guest.failures).reduce((sum, count) => sum + count);
  tell("failures", figure(failures), failures > 0 ? "bad" : "");
  fill("failures-by-kind", counts(some(guest.failures)));
  const lost = status.access_log_lost_lines;
  at("lost-box").hidden = lost === 0;
  tell("lost", figure(lost), "bad");
  const configured = reloads.map((one) => ({ ...one, outcome: `configuration ${one.outcome}`, digest: null }));
  const all = [...history, ...configured].sort((one, other) => (one.at < other.at ? 1 : -1));
  fill("history", all, (events) => (
    events.length > 0 ? events.map(deployment) : make("li", "soft", "None since the start.")
  ));
  refresh();
}

// Which sites there are is asked when their number changes, or one breaks.
let listed = "";
async function showSites() {
  at("sites").hidden = status.sites < 2;
  const key = JSON.stringify([status.sites, status.broken_sites]);
  if (status.sites < 2 || key === listed) return;
  listed = key;
  const response = await fetch("/sites", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  const { sites } = await response.json();
  at("site").replaceChildren(...sites.map(({ name, serves }) => {
    const option = make("option", "", serves ? name : `${name} (not served)`);
    return Object.assign(option, { value: name, selected: name === status.site });
  }));
}

// What the active guest and a candidate have in common.
function showGuest(whose, { digest, guest_digest: under, data_digest: data, form, imports, interests }) {
  fill(`${whose}digest`, digest, digestCode);
  fill(`${whose}data`, { data, under }, () => (
    data === null ? "none" : [digestCode(data), ", under the guest ", digestCode(under)]
  ));
  // A guest that was not loaded has none of these.
  fill(`${whose}form`, form ?? "unknown");
  fill(`${whose}imports`, imports, codes(form ? "none" : "unknown"));
  fill(`${whose}interests`, interests, codes(form ? "the request line alone" : "unknown"));
}

const moment = (at) => Object.assign(make("time", "soft", time(new Date(at))), { dateTime: at, title: at });

function deployment({ at, outcome, digest, message }) {
  const when = moment(at);
  const mark = make("span", `mark ${/deployed|reloaded/.test(outcome) ? "good" : "bad"}`, outcome);
  const guest = digest === null ? [] : [digestCode(digest), " "];
  return make("li", "", when, mark, make("span", "message", ...guest, message));
}

// How many rules each source has, and how many of all do nothing.
function showRules(sources, warnings) {
  at("rules-box").hidden = sources.length === 0;
  fill("rules", { sources, warnings }, () => [
    ...sources.map(({ source, redirects, headers, others }) => (
      make("div", "", code(source), ` ${counts(some({ redirects, headers, others })) || "none"}`)
    )),
    ...(warnings > 0 ? [make("div", "bad", `${figure(warnings)} warnings: the log has them`)] : []),
  ]);
}

// ---- The traffic ----

function showTraffic({ last_minute: minute, timeline }) {
  const { requests_per_second: rate, seconds, statuses } = minute;
  fill("rate", figure(rate));
  const shares = Object.entries(statuses).filter(([, requests]) => requests > 0);
  fill("rate-of", shares.length > 0 ? shares.map(([name, requests]) => (
    `${name}\u00a0${figure((100 * requests) / minute.requests)}\u00a0%`
  )).join(", ") : "none in the last minute");
  fill("p50", milliseconds(minute.p50_ms));
  fill("p99", milliseconds(minute.p99_ms));
  fill("bytes", bytes(minute.body_bytes / (seconds || 1)));
  showCurves(timeline);
}

// Areas, one upon another, so that the upper edge is all requests.
function showCurves({ seconds, statuses }) {
  const below = new Array(seconds).fill(0);
  const edges = CLASSES.map((name) => statuses[name].map((requests, index) => (below[index] += requests)));
  const most = Math.max(0, ...below);
  const top = roundUp(most);
  const x = (index) => (240 - 2 * (seconds - 1 - index)).toFixed(1);
  const y = (requests) => (100 - (100 * requests) / top).toFixed(2);
  const line = (edge) => edge.map((requests, index) => `${x(index)},${y(requests)}`);
  fill("curves", edges, () => edges.map((edge, number) => {
    const area = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
    const floor = number > 0 ? edges[number - 1] : edge.map(() => 0);
    area.setAttribute("points", [...line(edge), ...line(floor).reverse()].join(" "));
    area.setAttribute("class", `c${CLASSES[number]}`);
    return area;
  }));
  fill("scale", [top, top / 2, 0], (ticks) => ticks.map((tick) => make("li", "", count(tick))));
  fill("legend", CLASSES, (names) => names.map((name) => make("span", `key k${name}`, name)));
  const errors = statuses["5xx"].reduce((sum, one) => sum + one, 0);
  const said = `At most ${figure(most)} in a second; ${errors > 0 ? figure(errors) : "no"} responses with 5xx.`;
  fill("summary", most > 0 ? said : "No requests in two minutes.");
}

// A small number times a power of ten, and not below 2, so that the half is whole.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 2)));
  return Math.max(2, [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value));
}

function showRequests({ seconds, paths, not_found: notFound, failures }) {
  fill("asked-of", `Counted at least, in the last ${duration(seconds)}; of the failed ones, the latest.`);
  const list = (id, all) => fill(id, all, () => (
    all.length > 0 ? all.map(({ path, requests }) => (
      make("li", "", make("span", "number", figure(requests)), code(path))
    )) : make("li", "soft", "None.")
  ));
  list("paths", paths);
  list("not-found", notFound);
  fill("failed", failures, () => (failures.length > 0 ? failures.map(failure) : make("li", "soft", "None.")));
}

function failure({ at: when, request, status: code_, guest, cause, decision }) {
  const by = guest === null ? [] : [digestCode(guest), " "];
  const own = decision === "host" ? "the host's response, without a decision" : `the host's response to the decision ${decision}`;
  const why = code_ < 500 ? `${cause}; the guest before it decided` : cause ?? own;
  return make("li", "", moment(when), make("span", `mark ${code_ >= 500 ? "bad" : ""}`, code_),
    make("span", "message", code(request || "no request"), " ", ...by, why));
}

// Paths are as secret as what can be changed: they need the token where there is one.
async function look() {
  const token = sessionStorage.getItem("token");
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(ofSite("/requests"), { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.status === 401) sessionStorage.removeItem("token");
  at("asked").hidden = !response.ok;
  at("locked").hidden = response.ok;
  at("unlock").hidden = response.status !== 401;
  if (response.ok) return showRequests(await response.json());
  const why = response.status === 401 ? "Paths and failures need the token." :
    "Paths and failures are shown where the server has --admin-token-file, or over its Unix socket.";
  fill("locked-why", why);
}

const isLocked = () => !at("locked").hidden && sessionStorage.getItem("token") === null;

async function poll() {
  let problem = "The server does not respond.";
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(ofSite("/status"), { cache: "no-store", signal });
    const text = await response.text();
    if (response.ok) [status, received, problem] = [JSON.parse(text), new Date(), ""];
    else problem = `The server responds: ${text}`;
    if (response.ok) showTraffic(await (await fetch(ofSite("/traffic"), { cache: "no-store", signal })).json());
    const isDue = performance.now() - lookedAt >= REQUESTS_EVERY_MS;
    // Without a token each attempt would cost a penalty.
    if (response.ok && isDue && !isLocked()) {
      lookedAt = performance.now();
      // A refusal takes half a second: the figures do not wait for it.
      look().catch(() => {});
    }
  } catch {
    // The messages of browsers differ, and say no more than this.
  }
  at("main").classList.toggle("old", problem !== "");
  if (problem === "") return show();
  const since = received ? ` This page is from ${time(received)}.` : "";
  fill("link", `${problem}${since} It keeps trying.`);
  tell("state", "no response", "bad");
}

async function keepPolling() {
  for (;;) {
    await poll();
    await new Promise((wake) => setTimeout((askNow = wake), EVERY_MS));
  }
}

// ---- Changes ----

// Whether the person confirms. Not by `method=dialog`: the policy of the page allows no form.
function converse(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

// Asks for the token, and keeps it until the tab is closed.
async function askForToken(message) {
  fill("token-message", message);
  at("token").value = "";
  const isGiven = await converse(at("token-dialog"));
  if (isGiven) sessionStorage.setItem("token", at("token").value);
  at("token").value = "";
  return isGiven;
}

// Returns the JSON of a response. Throws the message of an error without a report.
async function send(method, path, body) {
  const token = sessionStorage.getItem("token");
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  // A change says which site it is for, also where that is the first one.
  const own = site ?? status?.site ?? null;
  const target = own === null ? path : `${path}?${new URLSearchParams({ site: own })}`;
  const response = await fetch(target, { method, headers, body }).catch(() => {
    throw new Error("The server did not respond, or closed the connection.");
  });
  if (response.status === 401) {
    sessionStorage.removeItem("token");
    const message = token === null ? "Changes need the token." : "That was not the token.";
    if (!(await askForToken(message))) throw new Error("Nothing was changed: no token.");
    lookedAt = -Infinity;
    return send(method, path, body);
  }
  const json = await response.json().catch(() => null);
  // A report has its error beside it.
  if (json === null || (!response.ok && json.digest === undefined)) {
    throw new Error(json?.error?.message ?? `The server responds with ${response.status}.`);
  }
  return json;
}

// One at a time, as the server takes uploads.
async function alone(outcome, act) {
  if (isBusy) return;
  const focused = document.activeElement;
  isBusy = true;
  refresh();
  try {
    await act();
  } catch (error) {
    tell(outcome, error.message, "bad");
  }
  isBusy = false;
  refresh();
  // What was disabled meanwhile has lost the focus.
  if (document.activeElement === document.body) focused.focus();
  askNow();
}

function refresh() {
  const isActive = candidate !== null && candidate.report.digest === status?.guest?.digest;
  at("file").disabled = at("roll-back").disabled = isBusy;
  at("put").disabled = isBusy || isActive || !candidate?.report.accepted;
  at("zone").classList.toggle("busy", isBusy);
  // What was said of a guest holds while it is active.
  for (const [id, digest] of spoken) {
    if (digest === status?.guest?.digest) continue;
    tell(id, "");
    spoken.delete(id);
  }
  if (candidate === null) return;
  const wasActive = candidate.report.active && !isActive;
  const verdict = isActive ? "active" : candidate.report.accepted ? "accepted" : "rejected";
  tell("verdict", verdict, verdict === "rejected" ? "bad" : "good");
  const isOld = !isActive && candidate.beside !== status?.guest?.digest;
  fill("outdated", wasActive ? "It was active, and was rolled back or replaced." :
    isOld ? "Another guest is active since this check: check again to compare." : "");
}

// Says that a guest is active, until another one is.
async function announce(id, digest, text) {
  await poll();
  tell(id, text, "good");
  spoken.set(id, digest);
}

// Whether clients get an error that they do not get now, or a worse one.
function harms({ kind, current, candidate: to }) {
  const [before, after] = [current, to].map((status) => Math.floor(Number(status) / 100));
  return kind === "failure" || (kind === "status" && after >= 4 && after > before);
}

// Why a person may not want to deploy it.
function worries({ changes, differing, compared }) {
  const sum = (some) => some.reduce((all, { requests }) => all + requests, 0);
  const visible = sum(changes.filter(({ kind }) => kind !== "nothing"));
  const broken = sum(changes.filter(harms));
  const of = `of ${figure(compared)} distinct recent requests`;
  if (broken > 0) return `${figure(broken)} ${of} would get an error, or a worse one than now.`;
  const many = Math.max(visible, differing - sum(changes));
  return 100 * many > FEW_PERCENT * compared ? `${figure(many)} ${of} would get another response.` : "";
}

const check = (files) => alone("outcome", async () => {
  candidate = null;
  at("report").hidden = true;
  tell("put-outcome", "");
  if (files.length !== 1) throw new Error("One file at a time, please.");
  const { name, size } = files[0];
  tell("outcome", `${name} (${figure(size / 1024)} KiB) is being checked …`);
  const beside = status?.guest?.digest;
  // Read once: the guest that is deployed is the one that was checked, even if the file changes.
  const bytes = await files[0].arrayBuffer().catch(() => {
    throw new Error(`${name} cannot be read. Is it a file?`);
  });
  const path = /\.wasm$/i.test(name) ? "/guest" : "/guest/data";
  const report = await send("POST", path.replace("/guest", "/check"), bytes);
  showReport({ name, path, bytes, beside, report });
  const { accepted } = report;
  tell("outcome", `${name} is ${accepted ? "accepted" : "rejected"}.`, accepted ? "good" : "bad");
});

const deploy = () => alone("put-outcome", async () => {
  const { name, path, bytes, report: checked } = candidate;
  const why = worries(checked);
  fill("deploy-message", why);
  if (why !== "" && !(await converse(at("deploy-dialog")))) return;
  const before = status?.guest?.digest ?? "";
  tell("outcome", "");
  tell("put-outcome", `${name} is being deployed …`);
  const report = await send("PUT", path, bytes);
  const what = path === "/guest" ? "in" : "with the data in";
  const guest = `The guest ${short(report.digest)} ${what} ${name}`;
  if (report.active) {
    candidate.report = { ...checked, active: true };
    return announce("put-outcome", report.digest, `${guest} is active, in place of ${short(before)}.`);
  }
  showReport({ name, path, bytes, beside: before, report });
  tell("put-outcome", `${guest} is rejected now: ${short(before)} stays active.`, "bad");
});

const rollBack = () => alone("rolled-back", async () => {
  const { previous, guest } = status;
  fill("roll-back-to", previous, digestCode);
  fill("roll-back-from", guest.digest, digestCode);
  const { previous_root: root, active_root: old } = status;
  fill("roll-back-roots", root !== old ? [root, old] : null, (roots) => (
    roots === null ? "" : [", with the root ", code(roots[0]), " in place of ", code(roots[1])]
  ));
  tell("rolled-back", "");
  if (!(await converse(at("roll-back-dialog")))) return;
  const isSame = previous === status.previous && guest.digest === status.guest.digest;
  if (!isSame) throw new Error("Nothing was changed: another guest was deployed meanwhile.");
  const { active, active_root: to, replaced, replaced_root: from } = await send("POST", "/rollback");
  const files = to === from ? "" : ` The root is ${to} again, in place of ${from}.`;
  announce("rolled-back", active, `The guest ${short(active)} is active again, in place of ${short(replaced)}.${files}`);
});

// ---- The report of a check ----

function row(className, cells) {
  // A long request line scrolls in a box of its own. On a phone the label stands before it.
  const cell = ([label, content]) => {
    const td = make("td", "", make("div", "long", ...[content].flat()));
    return Object.assign(td.dataset, { label }), td;
  };
  return make("tr", className, ...Object.entries(cells).map(cell));
}

function showReport(checked) {
  const { report, name } = (candidate = checked);
  const { cases, differing, compared } = report;
  fill("name", name);
  fill("error", report.error === null ? "" : `${report.error.message} (${report.error.code})`);
  showGuest("its-", report);
  const times = `compiled in ${figure(report.compile_ms)} ms, checked in ${figure(report.check_ms)} ms`;
  fill("its-times", report.form ? times : "unknown");
  const asked = `${report.request_lines} request lines, ${figure(report.trials)} requests with values of what it reads, and the cases`;
  const kinds = `${counts(report.decisions)} (on ${asked})`;
  fill("decisions", report.request_lines > 0 ? kinds : "unknown");

  const failing = cases.filter((one) => !one.passed);
  const passed = failing.length > 0 ? `${failing.length} of ${cases.length} failed.` : `All ${cases.length} passed.`;
  fill("cases-summary", cases.length > 0 ? passed : "None.");
  at("cases-box").hidden = cases.length === 0;
  const outcome = ({ passed, expected, got }) => (passed ? "passed" : [
    make("div", "", "expected ", code(expected)),
    make("div", "", "got ", code(got)),
  ]);
  fill("cases", [...failing, ...cases.filter((one) => one.passed)], (ordered) => ordered.map((one) => {
    const about = { Where: `${one.file}:${one.line}`, Name: one.name ?? "–", Request: code(one.request) };
    return row(one.passed ? "" : "fails", { ...about, Outcome: outcome(one) });
  }));

  const of = `${figure(compared)} distinct recent requests`;
  fill("changes-summary", compared === 0 ? "No requests were compared: there were none lately." :
    differing === 0 ? `Nothing: both guests decide alike on ${of}.` :
    `Of ${of} the guests decide differently on ${figure(differing)}.`);
  fill("changes", report.changes, (all) => all.map(change));
  at("report").hidden = false;
}

const KINDS = {
  failure: "the guest fails",
  status: "another status",
  location: "another location",
  file: "another file",
  content: "other content",
  fields: "other fields",
  nothing: "the same response, by another decision",
};

// A group of requests whose responses change alike, with its examples.
function change(group) {
  const { kind, current, candidate: to, fields, requests, examples } = group;
  const isBad = harms(group);
  const named = (status) => (status === "none" ? "no decision" : status);
  const from = current === to ? named(to) : `${named(current)} → ${named(to)}`;
  const head = make("summary", isBad ? "bad" : "", make("span", "number", figure(requests)),
    `${from}: ${KINDS[kind] ?? kind}`, ...(fields.length > 0 ? [" ", ...fields.map(code)] : []));
  const box = make("details", "change", head, ...examples.map(({ request, current: now, candidate: then }) => (
    make("div", "example", code(request), make("div", "beside",
      response("Now", now, then, kind), response("Then", then, now, kind)))
  )));
  if (requests > examples.length) box.append(make("p", "soft", `and ${figure(requests - examples.length)} more`));
  box.open = isBad;
  return box;
}

// A response, with the fields that the other one does not have.
function response(title, one, other) {
  const { status: code_, location, file, content, fields, failure: why } = one;
  const facts = [["status", code_ ?? "no decision"], ["why", why], ["location", location],
    ["file", file === "" || file?.endsWith("/") ? `index page of /${file}` : file], ["content", content]];
  const lines = facts.filter(([, value]) => value !== null && value !== undefined);
  const differ = fields.filter((field) => !other.fields.includes(field));
  return make("div", "", make("h5", "", title),
    ...lines.map(([name, value]) => make("div", "", `${name} `, code(value))),
    ...differ.map((field) => make("div", "", code(field))));
}

// ---- Events of the page ----

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("button[type=button]").onclick = () => dialog.close();
  dialog.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    dialog.close("yes");
  };
}
at("site").onchange = () => {
  location.search = new URLSearchParams({ site: at("site").value });
};
at("unlock").onclick = async () => {
  let message = "Paths and failures of requests need it.";
  while (await askForToken(message)) {
    // Refused, it is forgotten.
    await look().catch(() => {});
    if (sessionStorage.getItem("token") !== null) return;
    message = "That was not the token.";
  }
};
at("put").onclick = deploy;
at("roll-back").onclick = rollBack;
at("file").onchange = () => check(at("file").files);
// So that the same file, rebuilt, counts as another choice.
at("file").onclick = () => (at("file").value = "");

// Everywhere, since a file that misses the zone would be opened in place of this page.
window.ondragover = window.ondrop = window.ondragleave = (event) => {
  event.preventDefault();
  const isIn = !isBusy && at("zone").contains(event.target);
  at("zone").classList.toggle("over", isIn && event.type === "dragover");
  event.dataTransfer.dropEffect = isIn ? "copy" : "none";
  if (!isIn || event.type !== "drop") return;
  // The field shows the dropped file. Setting it fires no event.
  at("file").files = event.dataTransfer.files;
  check(at("file").files);
};

keepPolling();
