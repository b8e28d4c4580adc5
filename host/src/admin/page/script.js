// Shows what /status tells, asked once a second, and hands guests over.
//
// Request lines come from strangers and decisions from guests. So every text goes into the page as
// text, by `append` and `replaceChildren`; nothing here is ever read as HTML.

const EVERY_MS = 1000;
// A status takes a millisecond. One that takes so long is given up, and asked for again.
const PATIENCE_MS = 5000;
// What the curve shows: long enough to see what a swap did.
const SPAN_MS = 120000;
// The server tells no more differences than these.
const DIFFERENCES = 100;

let status = null; // The last one that was answered,
let answered = null; // and when.
let sample = null; // What the next rate is counted from.
let rates = [];
let candidate = null; // The guest that was checked, with its bytes.
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

// Writes only what has changed: else a selection would be lost each second, and a screen reader
// would begin anew.
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

// ---- What /status tells ----

function whence({ origin, file }) {
  if (origin === "built-in") return "built in";
  if (origin === "file") return code(file);
  return ["handed over", ...(file === null ? [] : ["; serves until ", code(file), " changes"])];
}

function show() {
  const { guest, lockdown, previous, history, connections } = status;
  fill("version", status.version);
  tell("state", status.ready ? "ready" : "stopping", status.ready ? "good" : "bad");
  fill("link", status.ready ? "" : "The server is stopping: it finishes the requests in flight.");
  showGuest("", guest);
  fill("origin", { origin: guest.origin, file: guest.file }, whence);
  fill("root", status.root, code);
  fill("listeners", status.listeners, codes("none"));
  fill("workers", status.workers);
  fill("uptime", `${duration(status.uptime_s)}, since ${time(new Date(status.started))}`);
  const { files, calls } = lockdown;
  const enforced = `files ${files} confined, system calls ${calls} filtered`;
  fill("lockdown", files === "off" && calls === "off" ? "off" : enforced);
  at("before").hidden = previous === null;
  fill("previous", previous, (digest) => (digest === null ? "" : digestCode(digest)));
  fill("requests", figure(status.requests));
  fill("connections", figure(connections.idle + connections.active));
  fill("connections-told", counts(connections));
  fill("remembered", figure(guest.remembered));
  fill("computed", figure(guest.computed));
  const share = (100 * guest.remembered) / (guest.remembered + guest.computed || 1);
  fill("share", `${figure(share)} % of this guest's`);
  const failures = Object.values(guest.failed).reduce((sum, count) => sum + count);
  tell("failures", figure(failures), failures > 0 ? "bad" : "");
  fill("failures-told", counts(guest.failed));
  tell("lost", figure(status.access_log_lost), status.access_log_lost > 0 ? "bad" : "");
  fill("history", history, (events) => (
    events.length > 0 ? events.map(swap) : make("li", "soft", "None since the start.")
  ));
  showRate(status);
  refresh();
}

// What is told of each guest, of the one that serves and of the one that was checked.
function showGuest(whose, { digest, form, imports, interests }) {
  fill(`${whose}digest`, digest, digestCode);
  // What could not be loaded has none of these.
  fill(`${whose}form`, form ?? "unknown");
  fill(`${whose}imports`, imports, codes(form ? "none" : "unknown"));
  fill(`${whose}interests`, interests, codes(form ? "the request line alone" : "unknown"));
}

function swap({ at, outcome, digest, told }) {
  const when = Object.assign(make("time", "soft", time(new Date(at))), { dateTime: at, title: at });
  const mark = make("span", `mark ${outcome === "served" ? "good" : "bad"}`, outcome);
  const guest = digest === null ? [] : [digestCode(digest), " "];
  return make("li", "", when, mark, make("span", "told", ...guest, told));
}

function showRate({ requests, started }) {
  const now = performance.now();
  // A server that was started anew counts from nothing.
  if (sample?.started !== started) [sample, rates] = [null, []];
  // After a swap the status is asked for early: too short a while to divide by.
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
  let problem = "The server does not answer.";
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch("/status", { cache: "no-store", signal });
    const text = await response.text();
    if (response.ok) [status, answered, problem] = [JSON.parse(text), new Date(), ""];
    else problem = `The server says: ${text}`;
  } catch {
    // Browsers have many words for it, and none of them tells more.
  }
  at("main").classList.toggle("old", problem !== "");
  if (problem === "") return show();
  const since = answered ? ` What you see is from ${time(answered)}.` : "";
  fill("link", `${problem}${since} The page goes on asking.`);
  tell("state", "no answer", "bad");
}

async function keepPolling() {
  for (;;) {
    await poll();
    await new Promise((wake) => setTimeout((askNow = wake), EVERY_MS));
  }
}

// ---- What changes something ----

// Whether the person goes on. Not by `method=dialog`: the policy of the page allows no form.
function converse(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

// Gives a report, or what the server says. Throws what it says if it refuses.
async function ask(method, path, body) {
  const token = sessionStorage.getItem("token");
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(path, { method, headers, body }).catch(() => {
    throw new Error("The server did not answer, or ended the connection.");
  });
  if (response.status === 401) {
    sessionStorage.removeItem("token");
    fill("token-told", token === null ? "The server wants to know who asks." : "That was not the token.");
    at("token").value = "";
    if (!(await converse(at("token-dialog")))) throw new Error("Nothing was done, for want of the token.");
    sessionStorage.setItem("token", at("token").value);
    at("token").value = "";
    return ask(method, path, body);
  }
  if (response.headers.get("content-type") === "application/json") return response.json();
  const text = await response.text();
  if (!response.ok) throw new Error(text || `The server answers with ${response.status}.`);
  return text;
}

// One thing at a time: the server takes one guest at a time, too.
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
  const serves = candidate !== null && candidate.report.digest === status?.guest.digest;
  at("file").disabled = at("roll-back").disabled = isBusy;
  at("put").disabled = isBusy || serves || !candidate?.report.fit;
  at("zone").classList.toggle("busy", isBusy);
  if (candidate === null) return;
  const verdict = serves ? "serves" : candidate.report.fit ? "fit" : "not fit";
  tell("verdict", verdict, verdict === "not fit" ? "bad" : "good");
  const isOld = !serves && candidate.beside !== status?.guest.digest;
  fill("outdated", isOld ? "Another guest serves since this was found out: check it again to compare." : "");
}

const check = (files) => alone("outcome", async () => {
  candidate = null;
  at("report").hidden = true;
  tell("put-outcome", "");
  if (files.length !== 1) throw new Error("One file at a time, please.");
  const { name, size } = files[0];
  tell("outcome", `${name} (${figure(size / 1024)} KiB) is being checked …`);
  const beside = status?.guest.digest;
  // Read once: what is put in service is what was checked, whatever becomes of the file.
  const bytes = await files[0].arrayBuffer().catch(() => {
    throw new Error(`${name} cannot be read. Is it a file?`);
  });
  const report = await ask("POST", "/check", bytes);
  showReport({ name, bytes, beside, report });
  tell("outcome", `${name} is ${report.fit ? "" : "not "}fit to serve.`, report.fit ? "good" : "bad");
});

const putInService = () => alone("put-outcome", async () => {
  const { name, bytes } = candidate;
  const before = status?.guest.digest ?? "";
  tell("outcome", "");
  tell("put-outcome", `${name} is being put in service …`);
  const report = await ask("PUT", "/guest", bytes);
  const guest = `The guest ${short(report.digest)} in ${name}`;
  if (report.serves) return tell("put-outcome", `${guest} serves, in place of ${short(before)}.`, "good");
  showReport({ name, bytes, beside: before, report });
  tell("put-outcome", `${guest} is not fit any more: ${short(before)} goes on serving.`, "bad");
});

const rollBack = () => alone("rolled-back", async () => {
  const { previous, guest } = status;
  fill("roll-back-to", previous, digestCode);
  fill("roll-back-from", guest.digest, digestCode);
  tell("rolled-back", "");
  if (!(await converse(at("roll-back-dialog")))) return;
  const isSame = previous === status.previous && guest.digest === status.guest.digest;
  if (!isSame) throw new Error("Nothing was done: another guest came into service meanwhile.");
  tell("rolled-back", await ask("POST", "/rollback"), "good");
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
  fill("problem", report.problem ?? "");
  showGuest("its-", report);
  const times = `compiled in ${figure(report.compile_ms)} ms, checked in ${figure(report.check_ms)} ms`;
  fill("its-times", report.form ? times : "unknown");
  const kinds = `${counts(report.decided)} (on ${report.lines} request lines and the cases)`;
  fill("decided", report.lines > 0 ? kinds : "not told");

  const failing = cases.filter((one) => !one.passed);
  const passed = failing.length > 0 ? `${failing.length} of ${cases.length} failed.` : `All ${cases.length} passed.`;
  fill("cases-told", cases.length > 0 ? passed : "None were tried.");
  at("cases-box").hidden = cases.length === 0;
  const outcome = ({ passed, expected, got }) => (passed ? "passed" : [
    make("div", "", "expected ", code(expected)),
    make("div", "", "got ", code(got)),
  ]);
  fill("cases", [...failing, ...cases.filter((one) => one.passed)], (ordered) => ordered.map((one) => {
    const about = { Where: `${one.file}:${one.line}`, Name: one.name ?? "–", Request: code(one.request) };
    return row(one.passed ? "" : "fails", { ...about, Outcome: outcome(one) });
  }));

  const which = `the ${compared} distinct requests of late that were compared`;
  const count = differences.length < DIFFERENCES ? differences.length : `${DIFFERENCES} or more`;
  const changes = differences.length > 0 ? `Decided otherwise: ${count} of ${which}.` : `Nothing, on ${which}.`;
  fill("changes-told", compared > 0 ? changes : "No requests were compared.");
  at("changes-box").hidden = differences.length === 0;
  fill("changes", differences, (all) => all.map(({ asked, now, then }) =>
    row("", { Asked: code(asked), Now: code(now), Then: code(then) })));
  at("report").hidden = false;
}

// ---- What the page listens to ----

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("button[type=button]").onclick = () => dialog.close();
  dialog.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    dialog.close("yes");
  };
}
at("put").onclick = putInService;
at("roll-back").onclick = rollBack;
at("file").onchange = () => check(at("file").files);
// So that the same file, built anew, counts as another choice.
at("file").onclick = () => (at("file").value = "");

// Everywhere, since a file that misses the zone would be opened in place of this page.
window.ondragover = window.ondrop = window.ondragleave = (event) => {
  event.preventDefault();
  const isIn = !isBusy && at("zone").contains(event.target);
  at("zone").classList.toggle("over", isIn && event.type === "dragover");
  event.dataTransfer.dropEffect = isIn ? "copy" : "none";
  if (!isIn || event.type !== "drop") return;
  // The field is to show what was dropped. This is no change of it that it tells about.
  at("file").files = event.dataTransfer.files;
  check(at("file").files);
};

keepPolling();
