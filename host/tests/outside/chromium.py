"""Drives Chromium by its debugging pipe: pages, what they load and how, and what they complain of.

    chromium.py URL SPKI SCREENSHOT

URL is https, and its server has the site that `site.py` makes. SPKI is the hash of the key of the
server's certificate, which is trusted for that alone. Whatever does not hold ends it with a
sentence and status 1.
"""

import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time

PATIENCE = 60


class Browser:
    """One Chromium with one page."""

    def __init__(self, spki, *flags):
        # Its processes may still write when it is killed.
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        from_us, self.to_it = os.pipe()
        self.from_it, to_us = os.pipe()

        def places():
            # The pipe is expected at 3 and 4. First away from both, as either may be there already.
            ours, theirs = os.dup2(from_us, 13), os.dup2(to_us, 14)
            os.dup2(ours, 3)
            os.dup2(theirs, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--autoplay-policy=no-user-gesture-required",
             "--remote-debugging-pipe", f"--user-data-dir={self.profile.name}",
             f"--ignore-certificate-errors-spki-list={spki}", *flags, "about:blank"],
            preexec_fn=places, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        self.number, self.rest, self.session = 0, b"", None
        self.complaints, self.requests, self.failures = [], {}, {}
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.profile.cleanup()

    def call(self, method, **parameters):
        """Gives the result of a command."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_it, json.dumps(message).encode() + b"\0")
        number, until = self.number, time.monotonic() + PATIENCE
        while True:
            message = self.message(until, method)
            if message.get("id") == number:
                if "error" in message:
                    fail(f"{method}: {message['error']}")
                return message["result"]

    def message(self, until, what):
        while b"\0" not in self.rest:
            if not select.select([self.from_it], [], [], max(0, until - time.monotonic()))[0]:
                fail(f"the browser does not come to {what} in {PATIENCE} s")
            came = os.read(self.from_it, 1 << 20)
            if not came:
                fail("the browser has ended")
            self.rest += came
        text, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(text)
        self.note(message.get("method"), message.get("params", {}))
        return message

    def note(self, event, told):
        if event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"] + " " + told["entry"].get("url", ""))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.complaints.append(str([value.get("value") for value in told["args"]]))
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif event == "Network.requestWillBeSentExtraInfo":
            self.requests.setdefault(told["requestId"], {})["sent"] = told["headers"]
        elif event == "Network.responseReceived":
            request = self.requests.setdefault(told["requestId"], {})
            request.update(told["response"], type=told["type"])
        elif event == "Network.responseReceivedExtraInfo":
            # What came over the network, also where the response is one of the cache.
            self.requests.setdefault(told["requestId"], {})["wire"] = told["statusCode"]
        elif event == "Network.loadingFailed":
            self.failures[told["requestId"]] = told["errorText"]

    def script(self, expression):
        """What an expression gives, once it is settled."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        if "exceptionDetails" in result:
            fail(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def open(self, url):
        """Goes to a page, and waits until its script says that all is there."""
        self.requests, self.failures = {}, {}
        self.call("Page.navigate", url=url)
        self.wait_for_title("done")

    def reload(self):
        self.requests, self.failures = {}, {}
        self.script("document.title = 'old'")
        self.call("Page.reload")
        self.wait_for_title("done")

    def wait_for_title(self, wanted):
        until = time.monotonic() + PATIENCE
        while (title := self.script("document.title")) != wanted:
            if time.monotonic() > until:
                fail(f"the title is {title!r}, not {wanted!r}; complaints: {self.complaints}")
            time.sleep(0.05)

    def loaded(self):
        """Responses with a URL of the network."""
        return [it for it in self.requests.values() if it.get("url", "").startswith("http")]

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


def fail(what):
    print(f"FAILED: {what}")
    sys.exit(1)


def expect(holds, what):
    if not holds:
        fail(what)


def all_over_h2(browser, least):
    """Each response came over HTTP/2 and one connection, and nothing was complained of."""
    loaded = browser.loaded()
    expect(len(loaded) >= least, f"only {len(loaded)} responses: {[it['url'] for it in loaded]}")
    for it in loaded:
        expect(it["protocol"] == "h2" and it["status"] in (200, 206, 304),
               f"{it['url']}: {it['status']} over {it['protocol']}")
    connections = {it["connectionId"] for it in loaded if not it.get("fromDiskCache")}
    expect(len(connections) <= 1, f"{len(connections)} connections")
    expect(not browser.failures, f"failed: {browser.failures}")
    expect(not browser.complaints, f"complaints: {browser.complaints}")
    protocols = browser.script(
        "performance.getEntries().filter(it => 'nextHopProtocol' in it && it.transferSize > 0)"
        ".map(it => it.nextHopProtocol)")
    expect(protocols and set(protocols) == {"h2"}, f"nextHopProtocol: {protocols}")
    return connections


def main(url, spki, screenshot):
    browser = Browser(spki)
    try:
        page(browser, url, screenshot)
        again(browser)
        seek(browser, url)
        cancel(browser, url)
    finally:
        browser.close()


def page(browser, url, screenshot):
    browser.open(f"{url}/page.html")
    all_over_h2(browser, 40)
    expect(browser.script("[...document.images].every(it => it.complete && it.naturalWidth > 0)"),
           "a picture is broken")
    color = browser.script("getComputedStyle(document.body).backgroundColor")
    expect(color == "rgb(238, 246, 255)", f"the style is not there: {color}")
    sent = {it["url"].rsplit("/", 1)[1]: it.get("sent", {}).get("priority") for it in browser.loaded()}
    browser.screenshot(screenshot)
    versions = browser.call("Browser.getVersion")["product"]
    print(f"{versions}: {len(browser.loaded())} responses over h2, one connection;"
          f" priority of style.css {sent['style.css']!r}, of a picture {sent['01.png']!r}")


def again(browser):
    browser.reload()
    wire = [it.get("wire") for it in browser.loaded() if it["url"].endswith("/page.html")]
    expect(wire == [304], f"the page again: {wire}")
    all_over_h2(browser, 40)
    print("the page again: 304")


def seek(browser, url):
    browser.open(f"{url}/sound.html")
    at = browser.script("document.querySelector('audio').currentTime")
    expect(at == 100, f"the sound is at {at}")
    partial = [it for it in browser.loaded() if it["status"] == 206]
    expect(partial and all(it["protocol"] == "h2" for it in partial), f"{browser.loaded()}")
    expect(not browser.complaints, f"complaints: {browser.complaints}")
    print(f"seeking in a sound: {len(partial)} responses with 206")


def cancel(browser, url):
    browser.open(f"{url}/page.html")
    whole = "fetch('page.txt', {cache: 'no-store'}).then(it => it.text())"
    browser.requests = {}
    text = browser.script(whole)
    before = {it["connectionId"] for it in browser.loaded()}
    expect(len(before) == 1, f"connections before: {before}")
    ended = browser.script("""
        Promise.all([...Array(40).keys()].map(async number => {
            const control = new AbortController();
            const response = await fetch('large.bin?' + number, {signal: control.signal, cache: 'no-store'});
            const reader = response.body.getReader();
            await reader.read();
            control.abort();
            return reader.read().then(() => 'not aborted', error => error.name);
        }))""")
    expect(ended == ["AbortError"] * 40, f"downloads that were given up: {ended}")
    expect(text.startswith("the same line") and browser.script(whole) == text, "another text")
    after = {it["connectionId"] for it in browser.loaded()}
    expect(after == before, f"connections {before} before, {after} afterwards")
    expect(not browser.complaints, f"complaints: {browser.complaints}")
    print("40 downloads given up, and the connection goes on")


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
