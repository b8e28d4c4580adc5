#!/usr/bin/env python3
"""From the saved source of a policy to the page that has loaded itself anew, in Chromium.

    host/benches/dev_loop.py target/release/innkeeper [LANGUAGE...] [--edits N] [--out FILE]

For each LANGUAGE (rust, js, python, c; default: rust) a project is made by `innkeeper new` in a
temporary folder and served by `innkeeper dev`; then its source is edited so many times. Needs
Chromium, chromedriver and the language's tools. Prints the seconds of each edit, and of them
what the build and the compilation to native code took, and writes them as CSV (--out).
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import raw

# For each language: the source that is edited, what else `innkeeper dev` watches, the build,
# and what is done before, once.
PROJECTS = {
    "rust": ("src/lib.rs", ["src"], "./build.sh", None),
    "js": ("policy.js", ["policy.js"], "npm run --silent build", "npm install --silent"),
    "python": ("policy.py", ["policy.py", "app.py"], "make --silent policy.wasm", None),
    "c": ("policy.c", ["policy.c"], "make --silent policy.wasm", None),
}
PATIENCE_SECONDS = 120
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Browser:
    """Chromium, by the WebDriver protocol (W3C WebDriver, sections 8, 10 and 13)."""

    def __init__(self, profile):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True
        )
        for line in self.driver.stdout:
            if match := re.search(r"started successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{match[1]}/session"
                break
        else:
            sys.exit("chromedriver does not start")
        options = {"args": [*SWITCHES, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self.base += "/" + self.ask("", wanted)["sessionId"]

    def ask(self, path, body):
        request = urllib.request.Request(
            self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return json.load(urllib.request.urlopen(request, timeout=60))["value"]

    def open(self, url):
        self.ask("/url", {"url": url})

    def run(self, script):
        return self.ask("/execute/sync", {"script": script, "args": []})

    def close(self):
        request = urllib.request.Request(self.base, method="DELETE")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=60)
        self.driver.terminate()
        self.driver.wait()


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        # A page that is just being loaded cannot be asked.
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.005)
    sys.exit(f"{what}: nothing within {PATIENCE_SECONDS} s")


def edits(program, language, count, browser, folder):
    source, watched, build, before = PROJECTS[language]
    project = folder / f"dev-{language}"
    subprocess.run(
        [program, "new", project.name, "--lang", language], cwd=folder, check=True,
        stdout=subprocess.DEVNULL,
    )
    if before:
        subprocess.run(before, shell=True, cwd=project, check=True)
    (project / "site").mkdir()
    (project / "site" / "index.html").write_text("<!doctype html><title>t</title><h1>here</h1>")
    command = [program, "dev", "site", "--guest", "policy.wasm", "--build", build]
    command += ["--listen", "127.0.0.1:0", "--access-log", "off"]
    command += [word for path in watched for word in ("--source", path)]
    server = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr:
            if match := re.search(r"listening on (http://\S+)", line):
                url = match[1]
            if "administration at" in line:
                break
        else:
            sys.exit(f"innkeeper dev does not start for {language}")
        told = []
        threading.Thread(target=lambda: told.extend(server.stderr), daemon=True).start()
        browser.open(url + "/")
        taken = [edit(project / source, url, number, browser) for number in range(count)]
        return {
            "all": taken,
            "build": durations(told, "built elapsed_ms"),
            "compilation": durations(told, "compile_ms"),
        }
    finally:
        server.terminate()
        server.wait()


def durations(told, what):
    """The seconds that lines of the log give, as in `built elapsed_ms=10.4`."""
    found = (re.search(rf"{what}=([0-9.]+)", line) for line in told)
    return [round(float(each[1]) / 1000, 3) for each in found if each]


def edit(source, url, number, browser):
    """Where /old leads to is changed. Gives the seconds until the page is there again."""
    # It listens for changes as soon as it is loaded.
    wait_for("the page", lambda: browser.run("return document.readyState == 'complete'"))
    time.sleep(1)
    browser.run("window.isOld = true")
    text = source.read_text()
    changed = re.sub(r'"/new\d*"', f'"/new{number}"', text)
    if changed == text:
        sys.exit(f"there is nothing to edit in {source}")
    began = time.monotonic()
    # As an editor saves it.
    new = source.with_suffix(".saved")
    new.write_text(changed)
    os.replace(new, source)
    loaded = "return !window.isOld && document.readyState == 'complete'"
    wait_for("the page that loads itself anew", lambda: browser.run(loaded))
    seconds = time.monotonic() - began
    if location(url) != f"/new{number}":
        sys.exit(f"the page was loaded anew, and the policy is the old one: {location(url)}")
    return round(seconds, 3)


class Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else."""

    def redirect_request(self, *_):
        return None


def location(url):
    try:
        urllib.request.build_opener(Stay).open(url + "/old")
    except urllib.error.HTTPError as answer:
        return answer.headers["Location"]
    return None


def rows(found):
    """A row for each edit, in seconds."""
    for language, parts in found.items():
        for edit, values in enumerate(zip(*parts.values()), 1):
            yield {"language": language, "edit": edit, **dict(zip(parts, values))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("languages", nargs="*", default=["rust"])
    parser.add_argument("--edits", type=int, default=5)
    parser.add_argument("--out", type=Path, help="CSV")
    arguments = parser.parse_args()
    for language in arguments.languages:
        if language not in PROJECTS:
            sys.exit(f"no language {language}; there are {', '.join(PROJECTS)}")
    found = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(Path(folder) / "profile")
        try:
            for language in arguments.languages:
                seconds = edits(
                    arguments.program.resolve(), language, arguments.edits, browser, Path(folder)
                )
                found[language] = seconds
                of = {part: statistics.median(each) for part, each in seconds.items()}
                print(
                    f"{language}: from the saved source to the page {of['all']:.2f} s, of which "
                    f"the build {of['build']:.2f}, the compilation {of['compilation']:.2f}; all: "
                    f"{seconds['all']}"
                )
        finally:
            browser.close()
    if arguments.out:
        raw.write(arguments.out, rows(found))


if __name__ == "__main__":
    main()
