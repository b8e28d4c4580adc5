"""Opens the pages that come with the server in Chromium: listings, what it says about failures, and the
site that it serves by default.

    pages.py URL FOLDER SITE

The server at URL lists the folders of FOLDER, in which this makes some; the one at SITE has the site
of the repository. Screenshots of each page
go to the current folder: on a desk and on a phone, light and dark. Whatever does not hold ends it
with a sentence and status 1.
"""

import os
import pathlib
import runpy
import sys
import time
import urllib.request

from chromium import PATIENCE, Browser, expect, fail

# `import site` is Python's own.
picture = runpy.run_path(str(pathlib.Path(__file__).with_name("site.py")))["picture"]

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
DESK = {"width": 1100, "height": 760, "deviceScaleFactor": 1, "mobile": False}

# What a name would do if it were taken for markup.
HOSTILE = "\"><img src=x onerror=\"window.forged=1\"><script>window.forged=1<⁄script>.txt"


def make(folder):
    """Folders as people have them."""
    root = pathlib.Path(folder)
    mixed = root / "listed"
    for name in ("2024", "2025", "archive"):
        (mixed / name).mkdir(parents=True, exist_ok=True)
    sizes = {"file10.txt": 1200, "file2.txt": 86, "file1.txt": 40_500, "Annual report.pdf": 2_450_000,
             "backup.tar.gz": 9_000_000, "clip.mp4": 5_300_000, "notes.md": 3_300, "song.flac": 7_900_000,
             "data.bin": 512, HOSTILE: 5}
    for number, (name, size) in enumerate(sizes.items()):
        path = mixed / name
        with open(path, "wb") as file:
            file.truncate(size)
        os.utime(path, (1_700_000_000 + 4_000_000 * number,) * 2)
    (mixed / "drawing.png").write_bytes(picture(160, 120, (160, 70, 30)))
    for name in (b"caf\xe9.txt", b"line\nfeed.txt"):
        with open(os.path.join(os.fsencode(mixed), name), "wb"):
            pass
    photos = root / "photos"
    photos.mkdir(exist_ok=True)
    for number in range(60):
        color = (40 + 3 * number, 200 - 3 * number, (90 + 40 * number) % 200)
        (photos / f"photo-{number}.png").write_bytes(picture(160, 120, color))
    (root / "empty").mkdir(exist_ok=True)
    many = root / "many"
    many.mkdir(exist_ok=True)
    for number in range(10_000):
        (many / f"report-{number}.txt").touch()


class Pages(Browser):
    """A browser that says what it has of a page, and what it complains of."""

    def go(self, url):
        self.complaints = []
        self.call("Page.navigate", url=url)
        self.settle()

    def settle(self, is_there="true"):
        """Waits until the page is loaded, and this holds on it."""
        until = time.monotonic() + PATIENCE
        while self.script(f"document.readyState != 'complete' || !({is_there})"):
            if time.monotonic() > until:
                fail(f"{is_there} does not come to hold on {self.script('location.href')}")
            time.sleep(0.05)

    def click(self, text, wanted):
        """Clicks a button with this text, and waits until the page has this query."""
        self.script(f"[...document.querySelectorAll('button')].find(it => it.textContent == '{text}').click()")
        self.settle(f"location.search == '{wanted}'")

    def type(self, text):
        self.script("document.querySelector('#filter').focus(); document.querySelector('#filter').select()")
        self.call("Input.insertText", text=text)

    def names(self):
        """The names of the rows that are in sight."""
        return self.script("""[...document.querySelectorAll('#entries > *')]
            .filter(it => it.checkVisibility()).map(it => it.firstElementChild.textContent)""")

    def complained(self):
        """What it complains of, besides the status of the page itself."""
        return [it for it in self.complaints if "the server responded with a status of 404" not in it]

    def looks(self, name):
        """Takes screenshots, and holds that nothing is wider than the window."""
        for width, metrics in (("desk", DESK), ("phone", PHONE)):
            self.call("Emulation.setDeviceMetricsOverride", **metrics)
            for scheme in ("light", "dark"):
                feature = {"name": "prefers-color-scheme", "value": scheme}
                self.call("Emulation.setEmulatedMedia", features=[feature])
                wide = self.script("[document.documentElement.scrollWidth, innerWidth]")
                expect(wide[0] <= wide[1], f"{name} on a {width} is {wide[0]} wide, of {wide[1]}")
                color = self.script("getComputedStyle(document.body).backgroundColor"
                                    " + getComputedStyle(document.documentElement).backgroundColor")
                paper = "rgb(251, 248, 243)" if scheme == "light" else "rgb(27, 25, 22)"
                expect(paper in color, f"{name} has no style in {scheme}: {color}")
                self.screenshot(f"{name}-{width}-{scheme}.png")
        self.call("Emulation.setDeviceMetricsOverride", **DESK)
        self.call("Emulation.setEmulatedMedia", features=[])
        expect(not self.complained(), f"{name}: {self.complained()}")


def listing(browser, url):
    browser.go(f"{url}/listed/")
    names = browser.names()
    # What is not UTF-8 has no link, nor has a line feed.
    expect(names[:3] == ["2024/", "2025/", "archive/"], names)
    files = [it for it in names if it.startswith("file")]
    expect(files == ["file1.txt", "file2.txt", "file10.txt"], names)
    expect(names[-2:] == ["caf\\xe9.txt", "line\\nfeed.txt"] or
           names[-2:] == ["line\\nfeed.txt", "caf\\xe9.txt"], names)
    expect(HOSTILE in names, names)
    expect(browser.script("window.forged === undefined && document.scripts.length == 1"), "a name is markup")
    browser.looks("listing")
    for link in browser.script("[...document.querySelectorAll('#entries a')].map(it => it.href)"):
        with urllib.request.urlopen(link) as got:
            expect(got.status == 200, f"{link}: {got.status}")


def sorted_and_filtered(browser, url):
    browser.go(f"{url}/listed/")
    browser.click("Size", "?sort=-size")
    names = browser.names()
    expect(names[3:5] == ["backup.tar.gz", "song.flac"], f"by size: {names}")
    browser.click("Size", "?sort=size")
    expect(browser.names()[3] == HOSTILE, f"by size, the other way: {browser.names()}")
    browser.click("Modified (UTC)", "?sort=-time")
    expect(browser.names()[4] == HOSTILE, f"by time: {browser.names()}")
    browser.click("Name", "?sort=name")
    before = browser.script("document.querySelector('#count').textContent")
    browser.type("FILE1")
    expect(browser.names() == ["file1.txt", "file10.txt"], f"filtered: {browser.names()}")
    count = browser.script("document.querySelector('#count').textContent")
    expect(count == "2 of 16 match", f"the filter counts {count!r}")
    expect(browser.script("document.querySelector('.u').checkVisibility()"), "the way up is filtered")
    browser.screenshot("filtered.png")
    browser.script("document.querySelector('#filter').value = ''; document.querySelector('#filter').oninput()")
    after = browser.script("document.querySelector('#count').textContent")
    expect((after, len(browser.names())) == (before, 16), f"{after}, {browser.names()}")
    expect(not browser.complained(), f"{browser.complained()}")


def photos(browser, url):
    browser.go(f"{url}/photos/")
    browser.click("Pictures", "?view=pictures")
    loaded = "[...document.images].filter(it => it.complete && it.naturalWidth > 0).length"
    browser.settle(f"{loaded} > 4")
    expect(browser.script("document.images.length") == 60, "a picture is missing")
    names = browser.names()
    expect(names[:3] == ["photo-0.png", "photo-1.png", "photo-2.png"], names)
    browser.type("photo-5")
    expect(len(browser.names()) == 11, f"filtered: {browser.names()}")
    browser.script("document.querySelector('#filter').value = ''; document.querySelector('#filter').oninput()")
    browser.looks("photos")
    browser.click("List", "")
    expect(browser.script("document.images.length") == 0, "the list has pictures")


def others(browser, url):
    browser.go(f"{url}/empty/")
    expect("This folder is empty." in browser.script("document.body.innerText"), "an empty folder")
    browser.looks("empty")
    browser.go(f"{url}/many/")
    expect(browser.script("document.querySelectorAll('#entries > tr').length") == 10_000, "10,000 rows")
    began = time.monotonic()
    browser.type("report-77")
    expect(len(browser.names()) == 111, f"filtered: {len(browser.names())}")
    print(f"10,000 rows filtered in {time.monotonic() - began:.2f} s")
    browser.script("document.querySelector('#filter').value = ''; document.querySelector('#filter').oninput()")
    browser.looks("many")


def without_script(browser, url):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.go(f"{url}/listed/")
    # The filter, which needs it, is not shown.
    document = browser.call("DOM.getDocument")["root"]["nodeId"]
    found = browser.call("DOM.querySelector", nodeId=document, selector="#filter[hidden]")["nodeId"]
    rows = browser.call("DOM.querySelectorAll", nodeId=document, selector="#entries > tr")["nodeIds"]
    expect(found and len(rows) == 16, f"without a script: {len(rows)} rows")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def failure(browser, url):
    browser.go(f"{url}/no-such-page")
    text = browser.script("document.body.innerText")
    expect("404" in text and "File not found" in text, f"a 404 says {text!r}")
    browser.looks("not-found")
    browser.go(f"{url}/%4")
    expect("malformed percent-escape" in browser.script("document.body.innerText").lower(), "a 400")


def site(browser, url):
    for page in ("", "next/", "notes/"):
        browser.go(f"{url}/{page}")
        browser.settle("[...document.images].every(it => it.complete && it.naturalWidth > 0)")
        browser.looks(f"site-{page.strip('/') or 'index'}")
    browser.go(url)
    shown = browser.script("Object.fromEntries([...document.querySelectorAll('[data-shows]')]"
                           ".map(it => [it.dataset.shows, it.textContent]))")
    host = url.removeprefix("http://")
    name, port = host.rsplit(":", 1)
    expect(shown == {"url": url + "/", "hostname": name, "port": port, "host": host}, f"it is at {shown}")


def main(url, folder, site_url):
    make(folder)
    browser = Pages("")
    try:
        listing(browser, url)
        sorted_and_filtered(browser, url)
        photos(browser, url)
        others(browser, url)
        without_script(browser, url)
        failure(browser, url)
        site(browser, site_url)
    finally:
        browser.close()
    print("listings, failures, the site: sorted, filtered, in pictures, light and dark, no policy violated")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
