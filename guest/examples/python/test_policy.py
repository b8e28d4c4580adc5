"""The policy's tests: `python3 -m unittest`. They need nothing but Python."""

import unittest
from pathlib import Path

import policy
from innkeeper import NOT_FOUND, Decision, File, Index, Redirect, Reply
from policy import best_language
from request import Fault, Target, site_target


def decide(target: str, accept_language: str = "") -> Decision:
    return policy.decide(f"GET {target} HTTP/1.1".encode(), accept_language)


def setUpModule():
    policy.configure(Path(__file__).with_name("redirects.toml").read_bytes())


class Table(unittest.TestCase):
    def test_moved_page_is_a_redirect(self):
        self.assertEqual(decide("/about-us.html"), Redirect(301, "/about/"))
        self.assertEqual(decide("/about-us.html?a=b"), Redirect(301, "/about/?a=b"))
        self.assertEqual(decide("/shop"), Redirect(301, "https://shop.example/"))
        self.assertEqual(decide("/wiki/Main%20Page"), Redirect(301, "/"))

    def test_prefix_keeps_the_rest_of_the_path(self):
        self.assertEqual(decide("/manual/a/b.html"), Redirect(301, "/en/manual/a/b.html"))
        self.assertEqual(decide("/handbuch/%C3%BCber"), Redirect(301, "/de/manual/%C3%BCber"))
        self.assertEqual(decide("/manual/"), Redirect(301, "/en/manual/"))
        self.assertEqual(decide("/manual"), File("manual"))

    def test_removed_page_is_410(self):
        self.assertEqual(decide("/newsletter/2019/").status, 410)
        self.assertEqual(decide("/offers.html").status, 410)

    def test_other_path_is_a_file_or_index_page(self):
        self.assertEqual(decide("/de/"), Index("de/"))
        self.assertEqual(decide("/a.css?v=1"), File("a.css"))

    def test_private_name_is_not_found(self):
        for target in ["/.git/config", "/%2egit/config", "/manual/.env"]:
            self.assertEqual(decide(target), NOT_FOUND, target)
        self.assertEqual(decide("/.well-known/a"), File(".well-known/a"))

    def test_mistake_in_the_table_is_told(self):
        before = policy.TABLE
        for table, why in {
            "": "there is no table: name one with --data redirects.toml",
            "moved =": "the table is not TOML: Invalid value (at end of document)",
            "[moved]": "the table lacks 'gone'",
            "moved = 1\ngone.paths = []\nstart.languages = ['en']": "`moved` is a table",
            with_moved('"/a" = 1'): "1 is not a text",
            with_moved('"a" = "/b"'): "the path 'a' does not begin with a /",
            with_moved('"/a/*" = "/b"'): "'/a/*': either both paths end with * or none does",
            with_moved('"/a" = "ftp://h/"'): "'ftp://h/' is neither a path nor a URL",
            with_moved('"/a" = "/b?c"'): "'/b?c' has characters that a location cannot have",
            with_moved('"/a" = "/b"\n"/b" = "/c"'): "'/a' leads to '/b', which has moved too",
            with_moved('"/a" = "/a"'): "'/a' leads to '/a', which has moved too",
        }.items():
            with self.assertRaises(policy.TableError) as raised:
                policy.configure(table.encode())
            self.assertIn(why, str(raised.exception), table)
        # What was refused leaves nothing behind.
        self.assertIs(policy.TABLE, before)


def with_moved(lines: str) -> str:
    return f"[moved]\n{lines}\n[gone]\npaths = []\n[start]\nlanguages = ['en']\n"


class StartPage(unittest.TestCase):
    def test_start_page_redirects_to_the_language(self):
        self.assertEqual(
            decide("/?a=b", "de"), Redirect(302, "/de/?a=b", (("vary", "accept-language"),))
        )

    def test_best_language_follows_weights(self):
        for accepted, best in {
            "": "en",
            "de": "de",
            "de-CH": "de",
            "pt": "pt-BR",
            "PT-br, de;q=0.9": "pt-BR",
            "it, fr;q=0.5, de;q=0.7": "de",
            "it": "en",
            "fr;q=0, de;q=0.1": "de",
            "*": "en",
            "de;q=x, fr;q=0.2": "fr",
            "d": "en",
            ";;,=;q": "en",
            "de;q=1..0": "en",
        }.items():
            self.assertEqual(best_language(accepted), best, accepted)


class RequestLines(unittest.TestCase):
    def test_target_has_path_and_query(self):
        self.assertEqual(site_target(b"GET /a/./b/../c?d HTTP/1.1"), Target("a/c", "?d"))
        self.assertEqual(site_target(b"GET http://h:80/a%20b HTTP/1.0"), Target("a b"))
        self.assertEqual(site_target(b"GET http://h?a HTTP/1.1"), Target("", "?a"))

    def test_malformed_line_is_400(self):
        for line in [
            b"", b"GET", b"GET  / HTTP/1.1", b"GET / HTTP/2.0", b"GET a HTTP/1.1",
            b"GET ? HTTP/1.1", b"GET /% HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET /\xe9 HTTP/1.1",
            b"GET http:///a HTTP/1.1", b"GET http://u@h/ HTTP/1.1", b"GET / HTTP/1.1\n",
        ]:  # fmt: skip
            self.assertEqual(site_target(line), Fault.MALFORMED, line)
            self.assertEqual(policy.decide(line, ""), Reply(400, b"malformed request line\n"))

    def test_path_that_names_nothing_is_a_fault(self):
        for line in [
            b"GET /.. HTTP/1.1", b"GET /%2e%2e/a HTTP/1.1", b"GET /a%2fb HTTP/1.1",
            b"GET /a\\b HTTP/1.1", b"GET /a%00 HTTP/1.1", b"GET /%ff HTTP/1.1",
            b"GET /%ed%a0%80 HTTP/1.1", b"CONNECT h:443 HTTP/1.1", b"OPTIONS * HTTP/1.1",
        ]:  # fmt: skip
            self.assertEqual(site_target(line), Fault.NOTHING, line)


if __name__ == "__main__":
    unittest.main()
