"""The chart: for each case, requests a second and CPU time for a request.

An SVG that needs nothing but itself, for light and dark pages.
"""

from html import escape

# Middle tones, which are told apart on white and on black, also without red and green.
COLORS = {
    "innkeeper": "#d9730d",
    "innkeeper-x25519": "#e6a15c",
    "nginx": "#3b82c4",
    "nginx-deferred": "#86b3dd",
    "h2o": "#4d9a4d",
    "lighttpd": "#7a6fd0",
    "static-web-server": "#b0609f",
    "caddy": "#2f9e8f",
    "wasmtime": "#a08030",
    "bare": "#8a8f98",
}

WIDTH = 960
MARGIN = 16
NAME_WIDTH = 130
BAR_WIDTH = 250
VALUE_WIDTH = 85
BAR = 14
GAP = 4
CASE_GAP = 34
TOP = 92

# Where the bars of the two metrics begin.
LEFT = MARGIN + NAME_WIDTH
RIGHT = LEFT + BAR_WIDTH + VALUE_WIDTH + 30
METRICS = [
    (LEFT, "requests_per_second", "requests a second (more is better)"),
    (RIGHT, "cpu_us_per_request", "CPU time for a request, µs (less is better)"),
]

STYLE = """\
  svg { color-scheme: light dark; }
  text { font: 12px system-ui, sans-serif; fill: #22262b; }
  .title { font-size: 17px; font-weight: 600; }
  .case { font-weight: 600; }
  .quiet { fill: #5d646d; }
  .page { fill: #ffffff; }
  .range { stroke: #22262b; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; }
    .quiet { fill: #a2a9b3; }
    .page { fill: #14171b; }
    .range { stroke: #e4e7eb; }
  }"""


def draw(results: dict, found: dict[str, dict[str, dict]], titles: dict[str, str]) -> str:
    machine = results["about"]
    parts = [
        text(MARGIN, 30, "innkeeper beside other servers", "title"),
        text(
            MARGIN,
            50,
            f"{machine['date']}, {machine['machine']}, medians of {results['rounds']} runs; "
            "the thin line goes from the least to the most",
            "quiet",
        ),
    ]
    for x, _, title in METRICS:
        parts.append(text(x, TOP - 16, title, "quiet"))
    y = TOP
    for case, servers in found.items():
        parts.append(text(MARGIN, y + 12, case, "case"))
        parts.append(text(LEFT, y + 12, titles.get(case, case), "quiet"))
        y += 20
        # Servers in the same order in each case.
        for name in [name for name in COLORS if name in servers]:
            parts.append(text(MARGIN, y + BAR - 3, name))
            for x, field, _ in METRICS:
                most = max(one[f"{field}_range"][1] for one in servers.values())
                parts += bar(x, y, servers[name], field, most, COLORS[name])
            y += BAR + GAP
        y += CASE_GAP - 20
    body = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img">
<title>innkeeper beside other servers: requests a second and CPU time for a request</title>
<style>
{STYLE}
</style>
<rect class="page" width="{WIDTH}" height="{y}"/>
{body}
</svg>
"""


def bar(x: int, y: int, one: dict, field: str, most: float, color: str) -> list[str]:
    """A bar for the median, with a line from the least to the most, and its number."""
    scale = BAR_WIDTH / most if most else 0
    least, highest = (value * scale for value in one[f"{field}_range"])
    middle = y + BAR / 2
    value = one[field]
    told = f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
    return [
        f'<rect x="{x}" y="{y}" width="{value * scale:.1f}" height="{BAR}" fill="{color}"/>',
        f'<line class="range" x1="{x + least:.1f}" y1="{middle}" x2="{x + highest:.1f}" '
        f'y2="{middle}"/>',
        text(x + max(highest, value * scale) + 6, y + BAR - 3, told),
    ]


def text(x: float, y: float, content: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attribute}>{escape(content)}</text>'
