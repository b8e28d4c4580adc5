"""Drives the page of the administration in Chromium: idle, under load, a candidate that fails, one
that is deployed, a roll back; in the dark and on a phone.

    admin.py ADMIN SITE TOKEN BAD GOOD [PICTURES]

ADMIN and SITE are URLs of one server, TOKEN is the file of its token. It rejects the guest BAD for a
failing case, and accepts GOOD, which redirects `/old` and `/notes/*`. Pictures of all states are left
in the folder PICTURES. Whatever does not hold ends it with a sentence and status 1.
"""

import base64
import pathlib
import sys
import threading
import time
import urllib.error
import urllib.request

from chromium import Browser, expect, fail

# Bytes of the page with its style and its script.
PAGE_BYTES = 60_000


class Page:
    """The page in a browser."""

    def __init__(self, url, pictures):
        # There is no TLS here, and so no key to trust.
        self.browser, self.url, self.pictures = Browser("none"), url, pictures
        self.size(1200, 900)
        self.browser.call("DOM.enable")

    def size(self, width, height, mobile=False):
        self.browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                          deviceScaleFactor=1, mobile=mobile)

    def script(self, expression):
        return self.browser.script(expression)

    def wait(self, expression, what):
        until = time.monotonic() + 30
        while not self.script(expression):
            if time.monotonic() > until:
                fail(f"{what}: {self.script('document.body.innerText')}")
            time.sleep(0.05)

    def text(self, element):
        return self.script(f"document.getElementById('{element}').innerText")

    def click(self, selector):
        self.script(f"document.querySelector('{selector}').click()")

    def confirm(self, dialog):
        self.wait(f"document.getElementById('{dialog}').open", f"{dialog} is not shown")
        self.click(f"#{dialog} [type=submit]")

    def choose(self, file):
        root = self.browser.call("DOM.getDocument")["root"]["nodeId"]
        field = self.browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        self.browser.call("DOM.setFileInputFiles", nodeId=field, files=[str(pathlib.Path(file).resolve())])
        self.wait("!document.getElementById('report').hidden && !document.getElementById('file').disabled",
                  f"{file} has no report")

    def picture(self, name, of=None):
        """Of the whole page, or from the heading of a section on."""
        if self.pictures is None:
            return
        size = self.script("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        top, height = 0, size[1]
        if of is not None:
            top, height = self.script(
                f"(() => {{ const it = document.querySelector('{of}').getBoundingClientRect();"
                " return [it.top + scrollY, it.height]; })()")
        # 900 pixels wide on a desk: what a page of the manual has room for.
        clip = {"x": 0, "y": max(0, top - 16), "width": size[0], "height": min(height + 32, 1600),
                "scale": min(1, 900 / size[0])}
        data = self.browser.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        (self.pictures / f"{name}.png").write_bytes(base64.b64decode(data))


def ask(url):
    try:
        urllib.request.urlopen(url).read()
    except urllib.error.HTTPError:
        pass


def load(site, seconds):
    """Requests of a usual kind for a while, from four clients."""
    until = time.monotonic() + seconds

    def client(number):
        while time.monotonic() < until:
            for path in ["/", "/style.css", "/opening.svg", "/", f"/gone/{number}.png", "/notes/", "/wp-login.php"]:
                ask(site + path)

    clients = [threading.Thread(target=client, args=[number]) for number in range(4)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()


def idle(page):
    page.browser.requests = {}
    page.browser.call("Page.navigate", url=page.url)
    page.wait("document.getElementById('state')?.innerText === 'ready'", "the page is not ready")
    page.wait("document.getElementById('unlock')?.offsetParent !== null", "paths are shown without the token")
    page.picture("idle")
    parts = [it for it in page.browser.loaded() if it["url"].rsplit("/", 1)[1] in ("", "style.css", "script.js")]
    expect(len(parts) == 3, f"parts of the page: {[it['url'] for it in parts]}")
    sizes = page.script(
        "performance.getEntries().filter(it => it.decodedBodySize && /\\/(style.css|script.js)?$/.test(it.name))"
        ".map(it => it.decodedBodySize)")
    expect(0 < sum(sizes) <= PAGE_BYTES, f"the page has {sizes} bytes")
    elsewhere = [it["url"] for it in page.browser.loaded() if not it["url"].startswith(page.url)]
    expect(not elsewhere, f"loaded from elsewhere: {elsewhere}")
    print(f"idle: {sum(sizes)} bytes")


def unlock(page, token):
    page.click("#unlock")
    page.wait("document.getElementById('token-dialog').open", "the token is not asked for")
    page.script(f"document.getElementById('token').value = '{token}'")
    page.confirm("token-dialog")
    page.wait("!document.getElementById('asked').hidden", "the token opens nothing")


def under_load(page, site):
    load(site, 8)
    page.wait("document.getElementById('not-found').innerText.includes('/wp-login.php')",
              "a path that is not found is not told")
    expect("/style.css" in page.text("paths"), f"paths: {page.text('paths')}")
    page.wait("/[0-9]/.test(document.getElementById('p99').innerText)", "there is no duration")
    expect("4xx" in page.text("rate-of"), f"statuses: {page.text('rate-of')}")
    expect(page.script("document.querySelectorAll('#curves polygon').length") == 4, "there is no chart")
    page.picture("load")
    print("under load:", page.text("rate"), "requests a second,", page.text("p99"))


def rejected(page, bad):
    page.choose(bad)
    expect(page.text("verdict") == "rejected", f"the verdict: {page.text('verdict')}")
    first = page.script("document.querySelector('#cases tr').className")
    expect(first == "fails", "the failing case is not the first")
    expect(page.script("document.getElementById('put').disabled"), "it can be deployed")
    page.picture("rejected", "#report")
    print("rejected:", page.text("error").split(".")[0])


def deployed(page, good):
    page.choose(good)
    expect(page.text("verdict") == "accepted", f"the verdict: {page.text('verdict')}")
    expect("→" in page.text("changes"), f"changes: {page.text('changes')}")
    page.script("document.querySelector('.change').open = true")
    page.picture("accepted", "#report")
    page.click("#put")
    page.confirm("deploy-dialog")
    page.wait("document.getElementById('verdict').innerText === 'active'", "it is not active")
    expect("is active, in place of" in page.text("put-outcome"), f"outcome: {page.text('put-outcome')}")
    print("deployed:", page.text("changes-summary"))


def rolled_back(page):
    page.click("#roll-back")
    page.confirm("roll-back-dialog")
    page.wait("document.getElementById('rolled-back').innerText.includes('is active again')", "no outcome")
    expect(page.text("verdict") == "accepted", f"the report says {page.text('verdict')}")
    expect(page.text("put-outcome") == "", f"the report says {page.text('put-outcome')}")
    expect("rolled back or replaced" in page.text("outdated"), f"the report says {page.text('outdated')}")
    latest = page.script("document.querySelector('#history .mark').innerText")
    expect(latest == "rolled-back", f"the latest deployment: {latest}")
    lengths = page.script(
        "[...new Set([...document.querySelectorAll('code[title]')].map(it => it.innerText.length))]")
    expect(lengths == [12], f"digests have lengths {lengths}")
    page.picture("rolled-back")
    print("rolled back")


def dark_and_phone(page):
    page.browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    color = page.script("getComputedStyle(document.body).backgroundColor")
    expect(color == "rgb(27, 25, 22)", f"in the dark: {color}")
    page.picture("dark")
    for width in (390, 320):
        page.size(width, 844, mobile=True)
        wide = page.script("document.documentElement.scrollWidth")
        expect(wide <= width, f"{wide} pixels on a phone of {width}")
    page.size(390, 844, mobile=True)
    page.picture("phone")
    print("in the dark, and on a phone of 390 and 320 pixels")


def main(admin, site, token, bad, good, pictures=None):
    if pictures is not None:
        pictures = pathlib.Path(pictures)
        pictures.mkdir(parents=True, exist_ok=True)
    page = Page(admin, pictures)
    try:
        idle(page)
        unlock(page, pathlib.Path(token).read_text().strip())
        under_load(page, site)
        rejected(page, bad)
        deployed(page, good)
        rolled_back(page)
        dark_and_phone(page)
        # Each request of the page without a token is 401, and a browser says so.
        complaints = [it for it in page.browser.complaints if "401" not in it]
        expect(not complaints, f"complaints: {complaints}")
    finally:
        page.browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) in (6, 7) else sys.exit(__doc__)
