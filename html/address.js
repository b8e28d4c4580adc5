// The page was written for the address that the server has by itself. It shows the one it is at.
const port = location.port || (location.protocol === "https:" ? "443" : "80");
const shown = { url: location.href, hostname: location.hostname, host: location.host, port };
for (const element of document.querySelectorAll("[data-shows]")) {
  element.textContent = shown[element.dataset.shows];
}
