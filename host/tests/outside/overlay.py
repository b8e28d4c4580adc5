"""Opens a page of `innkeeper dev` in Chromium while builds fail and pass, and while a case fails.

    overlay.py PROGRAM

PROGRAM is innkeeper. Screenshots go to the current folder. Whatever does not hold ends it with a
sentence and status 1.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

from chromium import PATIENCE, Browser, expect, fail

ROOT = "document.querySelector('#innkeeper-dev')?.shadowRoot"
# The title, if it is in sight, and the badge, if one is.
TITLE = f"{ROOT}?.querySelector('h1').checkVisibility() ? {ROOT}.querySelector('h1').textContent : ''"
BADGE = f"[...({ROOT}?.querySelectorAll('.badge') ?? [])].filter(it => !it.hidden).map(it => it.textContent).join()"


def wait(browser, script, wanted):
    until, got = time.monotonic() + PATIENCE, None
    while time.monotonic() < until:
        got = browser.script(script)
        if got == wanted:
            return
        time.sleep(0.05)
    fail(f"{script} is {got!r} and not {wanted!r}")


class Dev:
    """`innkeeper dev` on a site with one page, until it is left."""

    def __init__(self, program, folder, *flags):
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [program, "dev", "root", "--listen", "127.0.0.1:0", "--source", "src", *flags],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=self.log)
        until = time.monotonic() + PATIENCE
        while not (url := re.search(r"^listening on (\S+)", (folder / "log").read_text(), re.M)):
            if time.monotonic() > until:
                fail((folder / "log").read_text())
            time.sleep(0.05)
        self.url = url[1]

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def main(program):
    program = pathlib.Path(program).resolve()
    browser = Browser("")
    try:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "root").mkdir()
            (folder / "src").mkdir()
            # Styles of the page do not reach into the overlay, nor does its policy hinder it.
            (folder / "root/index.html").write_text(
                "<!doctype html><title>a</title><style>body *, div, section, button { display: none !important; color: red }</style><h1>A page</h1>")
            source = folder / "src/guest"
            source.write_text("src/guest:1: <b>a mistake</b>\n")
            with Dev(program, folder, "--build", "sleep 1; cat src/guest; test ! -s src/guest") as url:
                browser.call("Page.navigate", url=url)
                wait(browser, TITLE, "The build failed")
                text = browser.script(f"{ROOT}.querySelector('pre').textContent")
                expect("src/guest:1: <b>a mistake</b>" in text, text)
                color = browser.script(f"getComputedStyle({ROOT}.querySelector('.panel')).backgroundColor")
                expect(color == "rgb(22, 24, 29)", f"the overlay is not opaque: {color}")
                browser.screenshot("overlay-build.png")
                browser.script(f"{ROOT}.querySelector('header button').click()")
                wait(browser, TITLE, "")
                wait(browser, BADGE, "The build failed")
                browser.script(f"{ROOT}.querySelector('button.badge').click()")
                wait(browser, TITLE, "The build failed")
                for kind in ("keyDown", "keyUp"):
                    browser.call("Input.dispatchKeyEvent", type=kind, key="Escape", code="Escape")
                wait(browser, TITLE, "")
                # What was closed comes back when something else is wrong.
                source.write_text("another\n")
                wait(browser, BADGE, "Building…")
                wait(browser, TITLE, "The build failed")
                source.write_text("")
                wait(browser, f"{ROOT} === undefined", True)
            (folder / "cases.toml").write_text("case = [{ line = 'GET / HTTP/1.1', decision = 'not-found' }]\n")
            with Dev(program, folder, "--cases", "cases.toml") as url:
                browser.call("Page.navigate", url=url)
                wait(browser, TITLE, "A case fails")
                browser.screenshot("overlay-case.png")
    finally:
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
