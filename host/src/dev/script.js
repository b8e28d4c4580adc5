// Reloads the page when it is outdated, and shows errors.
(() => {
  const { src } = document.currentScript;
  let version = null;
  let overlay = null;

  const show = (error) => {
    if (!overlay) {
      overlay = document.createElement("div");
      overlay.id = "innkeeper-dev";
      overlay.setAttribute("role", "alert");
      // The page has styles of its own; these are set on the element, so that they come first.
      overlay.style.cssText = "all: initial; position: fixed; inset: 0; z-index: 2147483647;" +
        "overflow: auto; padding: 2rem; background: #1d1a16f2; color: #f4eee4;" +
        "font: 14px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere";
      document.documentElement.append(overlay);
    }
    overlay.textContent = "The old guest goes on serving.\n\n" + error;
  };

  new EventSource(new URL("events", src)).onmessage = ({ data }) => {
    const state = JSON.parse(data);
    if (state.error !== null) {
      show(state.error);
    } else if (version !== null && version !== state.version) {
      location.reload();
    } else {
      overlay?.remove();
      overlay = null;
    }
    version ??= state.version;
  };
})();
