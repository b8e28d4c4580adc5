// Shows what /status tells, asked once a second, and hands guests over.
//
// Request lines come from strangers and decisions from guests. So every text goes into the page as
// text, by `append` and `replaceChildren`; nothing here is ever read as HTML.

const EVERY_MS = 1000;
// A status takes a millisecond. A request that takes this long is aborted and sent again.
const PATIENCE_MS = 5000;
// What the curve shows: long enough to see what a deployment did.
const SPAN_MS = 120000;
// A report has at most this many.
const DIFFERENCES = 100;

let status = null; // The last one that was received,
let received = null; // and when.
let sample = null; // The count that the next rate starts from.
let rates = [];
let candidate = null; // The guest or data that was checked, with its bytes and its report.
let isBusy = false;
let askNow = () => {};

const at = (id) => document.getElementById(id);
const short = (digest) => digest.slice(0, 12);
const { format: figure } = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
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
  const { guest, sandbox, previous, history, connections } = status;
  fill("version", status.version);
  tell("state", status.ready ? "ready" : "stopping", status.ready ? "good" : "bad");
  fill("link", status.ready ? "" : "The server is stopping: it finishes the requests in flight.");
  showGuest("", guest);
  fill("origin", { origin: guest.origin, file: guest.file, data: guest.data_file }, originOf);
  fill("root", status.root, code);
  fill("listeners", status.listeners, codes("none"));
  fill("workers", status.workers);
  fill("uptime", `${duration(status.uptime_s)}, since ${time(new Date(status.started))}`);
  const { files, system_calls: calls } = sandbox;
  const enforced = `files ${files} confined, system calls ${calls} filtered`;
  fill("sandbox", files === "off" && calls === "off" ? "off" : enforced);
  at("before").hidden = previous === null;
  fill("previous", previous, (digest) => (digest === null ? "" : digestCode(digest)));
  fill("requests", figure(status.requests));
  fill("connections", figure(connections.idle + connections.active));
  fill("connections-by-state", counts(connections));
  const { decision_cache_hits: hits, decision_cache_misses: misses } = guest;
  fill("cache-hits", figure(hits));
  fill("cache-misses", figure(misses));
  fill("cache-share", `${figure((100 * hits) / (hits + misses || 1))} % of this guest's decisions`);
  const failures = Object.values(guest.failures).reduce((sum, count) => sum + count);
  tell("failures", figure(failures), failures > 0 ? "bad" : "");
  fill("failures-by-kind", counts(guest.failures));
  const lost = status.access_log_lost_lines;
  tell("lost", figure(lost), lost > 0 ? "bad" : "");
  fill("history", history, (events) => (
    events.length > 0 ? events.map(deployment) : make("li", "soft", "None since the start.")
  ));
  showRate(status);
  refresh();
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

function deployment({ at, outcome, digest, message }) {
  const when = Object.assign(make("time", "soft", time(new Date(at))), { dateTime: at, title: at });
  const mark = make("span", `mark ${outcome === "deployed" ? "good" : "bad"}`, outcome);
  const guest = digest === null ? [] : [digestCode(digest), " "];
  return make("li", "", when, mark, make("span", "message", ...guest, message));
}

function showRate({ requests, started }) {
  const now = performance.now();
  // A server that was restarted counts from 0.
  if (sample?.started !== started) [sample, rates] = [null, []];
  // After a deployment the status is read early: the interval is too short to divide by.
  if (sample && now - sample.now < EVERY_MS / 2) return;
  if (sample) rates.push({ now, rate: (1000 * (requests - sample.requests)) / (now - sample.now) });
  sample = { now, requests, started };
  rates = rates.filter((one) => now - one.now < SPAN_MS);
  const most = Math.max(0, ...rates.map((one) => one.rate));
  // By the time of each: a tab in the background asks less often.
  const points = rates.map((one) => {
    const x = 240 * (1 - (now - one.now) / SPAN_MS);
    return `${x.toFixed(1)},${(46 - (44 * one.rate) / (most || 1)).toFixed(1)}`;
  });
  at("curve").setAttribute("points", points.join(" "));
  fill("rate", rates.length > 0 ? figure(Math.round(rates.at(-1).rate)) : "–");
  fill("most", `at most ${figure(Math.round(most))} in two minutes`);
}

async function poll() {
  let problem = "The server does not respond.";
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch("/status", { cache: "no-store", signal });
    const text = await response.text();
    if (response.ok) [status, received, problem] = [JSON.parse(text), new Date(), ""];
    else problem = `The server responds: ${text}`;
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

// Returns the JSON of a response. Throws the message of an error without a report.
async function send(method, path, body) {
  const token = sessionStorage.getItem("token");
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(path, { method, headers, body }).catch(() => {
    throw new Error("The server did not respond, or closed the connection.");
  });
  if (response.status === 401) {
    sessionStorage.removeItem("token");
    fill("token-message", token === null ? "Changes need the token." : "That was not the token.");
    at("token").value = "";
    if (!(await converse(at("token-dialog")))) throw new Error("Nothing was changed: no token.");
    sessionStorage.setItem("token", at("token").value);
    at("token").value = "";
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
  const isActive = candidate !== null && candidate.report.digest === status?.guest.digest;
  at("file").disabled = at("roll-back").disabled = isBusy;
  at("put").disabled = isBusy || isActive || !candidate?.report.accepted;
  at("zone").classList.toggle("busy", isBusy);
  if (candidate === null) return;
  const verdict = isActive ? "active" : candidate.report.accepted ? "accepted" : "rejected";
  tell("verdict", verdict, verdict === "rejected" ? "bad" : "good");
  const isOld = !isActive && candidate.beside !== status?.guest.digest;
  fill("outdated", isOld ? "Another guest is active since this check: check again to compare." : "");
}

const check = (files) => alone("outcome", async () => {
  candidate = null;
  at("report").hidden = true;
  tell("put-outcome", "");
  if (files.length !== 1) throw new Error("One file at a time, please.");
  const { name, size } = files[0];
  tell("outcome", `${name} (${figure(size / 1024)} KiB) is being checked …`);
  const beside = status?.guest.digest;
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
  const { name, path, bytes } = candidate;
  const before = status?.guest.digest ?? "";
  tell("outcome", "");
  tell("put-outcome", `${name} is being deployed …`);
  const report = await send("PUT", path, bytes);
  const what = path === "/guest" ? "in" : "with the data in";
  const guest = `The guest ${short(report.digest)} ${what} ${name}`;
  if (report.active) return tell("put-outcome", `${guest} is active, in place of ${short(before)}.`, "good");
  showReport({ name, path, bytes, beside: before, report });
  tell("put-outcome", `${guest} is rejected now: ${short(before)} stays active.`, "bad");
});

const rollBack = () => alone("rolled-back", async () => {
  const { previous, guest } = status;
  fill("roll-back-to", previous, digestCode);
  fill("roll-back-from", guest.digest, digestCode);
  tell("rolled-back", "");
  if (!(await converse(at("roll-back-dialog")))) return;
  const isSame = previous === status.previous && guest.digest === status.guest.digest;
  if (!isSame) throw new Error("Nothing was changed: another guest was deployed meanwhile.");
  const { active, replaced } = await send("POST", "/rollback");
  tell("rolled-back", `The guest ${short(active)} is active again, in place of ${short(replaced)}.`, "good");
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
  const { cases, differences, compared } = report;
  fill("name", name);
  fill("error", report.error === null ? "" : `${report.error.message} (${report.error.code})`);
  showGuest("its-", report);
  const times = `compiled in ${figure(report.compile_ms)} ms, checked in ${figure(report.check_ms)} ms`;
  fill("its-times", report.form ? times : "unknown");
  const kinds = `${counts(report.decisions)} (on ${report.request_lines} request lines and the cases)`;
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

  const which = `the ${compared} distinct recent requests that were compared`;
  const count = differences.length < DIFFERENCES ? differences.length : `${DIFFERENCES} or more`;
  const changes = differences.length > 0 ? `${count} of ${which} differ.` : `None of ${which}.`;
  fill("changes-summary", compared > 0 ? changes : "No requests were compared.");
  at("changes-box").hidden = differences.length === 0;
  fill("changes", differences, (all) => all.map((one) =>
    row("", { Request: code(one.request), Current: code(one.current), Candidate: code(one.candidate) })));
  at("report").hidden = false;
}

// ---- Events of the page ----

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("button[type=button]").onclick = () => dialog.close();
  dialog.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    dialog.close("yes");
  };
}
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
