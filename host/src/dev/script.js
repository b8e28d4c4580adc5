// Reloads the page when it is outdated, says what the loop does, and shows what went wrong.
(() => {
  const { src } = document.currentScript;
  const STYLE = `
    :host { color-scheme: dark; font: 15px/1.5 system-ui, sans-serif; }
    * { box-sizing: border-box; }
    [hidden] { display: none !important; }
    .panel { position: fixed; inset: 0; z-index: 2147483647; overflow: auto; background: #16181d;
      color: #e8eaed; }
    .inner { max-width: 72rem; margin: 0 auto; padding: clamp(1rem, 4vw, 3rem); }
    header { display: flex; align-items: center; gap: .75rem; flex-wrap: wrap; }
    h1 { flex: 1; margin: 0; font-size: 1.5rem; line-height: 1.25; font-weight: 600; }
    .kind { padding: .125rem .625rem; border-radius: 1rem; background: var(--kind); color: #16181d;
      font-size: .8125rem; font-weight: 700; text-transform: uppercase; letter-spacing: .04em; }
    .build { --kind: #ffb454; } .trap { --kind: #ff7b72; } .case { --kind: #79c0ff; }
    .guest, .rules { --kind: #d2a8ff; }
    button { font: inherit; color: inherit; background: #2a2e37; border: 1px solid #454b57;
      border-radius: .5rem; padding: .375rem .75rem; cursor: pointer; }
    button:hover { background: #363b46; }
    button:focus-visible { outline: 2px solid var(--kind, #79c0ff); outline-offset: 2px; }
    pre { margin: 1.5rem 0; padding: 1rem 1.25rem; overflow-x: auto; background: #0d0f13;
      border: 1px solid #2a2e37; border-left: 4px solid var(--kind); border-radius: .5rem;
      font: 13px/1.6 ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace;
      white-space: pre-wrap; overflow-wrap: anywhere; }
    p { margin: 0; color: #a5abb6; }
    .badge { position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483647; border-radius: 2rem;
      padding: .375rem 1rem; background: #16181d; color: #e8eaed; border: 1px solid #454b57;
      box-shadow: 0 2px 12px #0006; }
  `;
  const REJECTED = "What passed last goes on serving; without that it is the built-in guest. ";
  const FAILED = "The client got an error of the server in place of a decision. ";
  const WORK = { building: "Building…", checking: "Checking the guest…" };

  const element = (name, className, text = "") => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };

  // The page has styles of its own, which do not reach in here. Those of the element itself come first.
  const host = element("div", "");
  host.id = "innkeeper-dev";
  host.style.cssText = "all: initial !important; display: block !important";
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  const panel = element("section", "panel");
  panel.setAttribute("role", "alertdialog");
  panel.setAttribute("aria-labelledby", "title");
  const inner = element("div", "inner");
  const header = element("header", "");
  const kind = element("span", "kind");
  const title = element("h1", "");
  title.id = "title";
  const close = element("button", "", "Close");
  close.title = "Esc";
  const text = element("pre", "");
  header.append(kind, title, close);
  const then = element("p", "");
  inner.append(header, text, then);
  panel.append(inner);
  const failed = element("button", "badge");
  const busy = element("div", "badge");
  busy.setAttribute("role", "status");
  root.append(panel, failed, busy);

  let version = null;
  let shown = null;
  let isClosed = false;

  // What keeps a guest from serving comes first.
  const wrong = (state) => state.error ?? state.failed;

  const draw = (state) => {
    const error = wrong(state);
    const all = JSON.stringify(error);
    // What was closed stays so until something else is wrong.
    isClosed &&= all === shown;
    shown = all;
    panel.hidden = error === null || isClosed;
    failed.hidden = error === null || !isClosed || state.busy !== null;
    busy.hidden = state.busy === null;
    busy.textContent = WORK[state.busy] ?? "";
    if (error !== null) {
      panel.className = `panel ${error.kind}`;
      kind.textContent = error.kind;
      title.textContent = error.title;
      text.textContent = error.text;
      failed.textContent = error.title;
      then.textContent = (state.error ? REJECTED : FAILED) + "This page reloads when it is mended.";
    }
    if (error !== null || state.busy !== null) {
      document.documentElement.append(host);
    } else {
      host.remove();
    }
  };

  let last = { error: null, busy: null, failed: null };
  const setClosed = (closed) => {
    isClosed = closed;
    draw(last);
  };
  close.onclick = () => setClosed(true);
  failed.onclick = () => setClosed(false);
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && wrong(last) !== null) {
      setClosed(true);
    }
  });

  new EventSource(new URL("events", src)).onmessage = ({ data }) => {
    last = JSON.parse(data);
    if (last.error === null && version !== null && version !== last.version) {
      location.reload();
      return;
    }
    draw(last);
    version ??= last.version;
  };
})();
