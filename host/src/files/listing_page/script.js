// The filter. All else needs no script.
const filter = document.getElementById("filter");
const count = document.getElementById("count");
const rows = document.querySelectorAll("#entries > *");
const total = count.textContent;
function apply() {
  const wanted = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    row.hidden = !row.firstElementChild.textContent.toLowerCase().includes(wanted);
    shown += row.hidden ? 0 : 1;
  }
  count.textContent = wanted ? `${shown} of ${rows.length} match` : total;
}
filter.hidden = false;
filter.oninput = apply;
// A browser that comes back to the page may fill it in.
if (filter.value) apply();
document.addEventListener("keydown", event => {
  if (event.key === "/" && event.target !== filter && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    filter.focus();
  }
});
