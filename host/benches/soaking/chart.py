"""A chart of what a server held over time, as SVG."""

from html import escape

from servers.chart import STYLE, text

WIDTH, HEIGHT = 960, 190
LEFT, RIGHT, TOP, GAP = 80, 20, 84, 60
LINE = "#d9730d"
STEPS = 4


def draw(title, samples, crowds):
    """Descriptors, memory and threads of `samples`; `crowds` are the times, from and to, at
    which rude clients were there."""
    minutes = max(samples[-1]["at"], 1) / 60
    panels = [
        ("descriptors", [one["descriptors"] for one in samples]),
        ("memory (VmRSS), MiB", [one["rss_kib"] / 1024 for one in samples]),
        ("threads", [one["threads"] for one in samples]),
    ]
    width = WIDTH - LEFT - RIGHT
    across = lambda at: LEFT + at / 60 / minutes * width
    parts = [text(16, 28, title, "title"),
             text(16, 48, "grey: rude clients are there", "quiet")]
    top = TOP
    for name, values in panels:
        most = nice(max(values))
        up = lambda value: top + HEIGHT - value / most * HEIGHT
        for start, end in crowds:
            parts.append(f'<rect x="{across(start):.1f}" y="{top}" width="{across(end) - across(start):.1f}" '
                         f'height="{HEIGHT}" fill="#8a8f98" opacity="0.25"/>')
        for step in range(STEPS + 1):
            value = most * step / STEPS
            parts.append(f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{up(value):.1f}" y2="{up(value):.1f}" '
                         'stroke="#8a8f98" stroke-width="0.5"/>')
            parts.append(text(LEFT - 45, up(value) + 4, f"{value:g}", "quiet"))
        points = " ".join(f"{across(one['at']):.1f},{up(value):.1f}"
                          for one, value in zip(samples, values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="1.5"/>')
        parts.append(text(LEFT, top - 8, name, "case"))
        top += HEIGHT + GAP
    for step in range(6):
        at = minutes * 60 * step / 5
        parts.append(text(across(at) - 8, top - GAP + 18, f"{at / 60:.1f}", "quiet"))
    parts.append(text(LEFT + width / 2 - 20, top - GAP + 36, "minutes", "quiet"))
    body = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img">
<title>{escape(title)}: descriptors, memory and threads over time</title>
<style>
{STYLE}
</style>
<rect class="page" width="{WIDTH}" height="{top}"/>
{body}
</svg>
"""


def nice(most):
    """The end of an axis: a number of one digit that is even, or five, or ten, and zeros."""
    size = 1
    while True:
        for digit in (1, 2, 4, 5, 8, 10):
            if digit * size >= most:
                return digit * size
        size *= 10
