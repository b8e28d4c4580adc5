"""Tests of `innkeeper.py`."""

import base64
import unittest

from innkeeper import (
    NOT_FOUND, Candidate, File, Index, Redirect, Request, Serve, is_same_secret, page, parameter,
    parameters, text, with_field,
)


class Requests(unittest.TestCase):
    def test_fields_cookies_and_passwords_are_texts(self):
        token = base64.b64encode("alice:open:sesame".encode())
        request = Request(b"", (
            ("cookie", b"a=1; session=x=y ;b"), ("authorization", b"Basic " + token), ("x", b"\xff"),
        ))
        self.assertEqual(request.cookie("session"), "x=y")
        self.assertIsNone(request.cookie("b"))
        self.assertEqual(request.basic_auth(), ("alice", "open:sesame"))
        self.assertEqual(request.value("x"), "\ufffd")
        self.assertIsNone(request.value("y"))
        for value in [b"", b"Basic", b"Basic !", b"Bearer abc", b"Basic " + base64.b64encode(b"a")]:
            self.assertIsNone(Request(b"", (("authorization", value),)).basic_auth(), value)
        self.assertTrue(is_same_secret("ä", "ä"))
        self.assertFalse(is_same_secret("a", "b"))

    def test_parameters_are_decoded(self):
        expected = [("a", "1"), ("b", ""), ("a", "ü +"), ("c", "%zz\ufffd")]
        self.assertEqual(parameters("?a=1&b&a=%C3%BC+%2B&&c=%zz%ff"), expected)
        self.assertEqual(parameter("?q=a%20b", "q"), "a b")
        self.assertIsNone(parameter("", "q"))


class Decisions(unittest.TestCase):
    def test_path_is_an_index_page_or_a_file(self):
        self.assertEqual((page(""), page("a/"), page("a")), (Index(""), Index("a/"), File("a")))

    def test_any_decision_takes_a_field(self):
        for decision in [File("a"), NOT_FOUND, Redirect(301, "/a"), text(200, "a")]:
            self.assertEqual(with_field(decision, "x-a", "1").fields[-1], ("x-a", "1"))
        serve = Serve((Candidate(File("a")),), fields=(("x-a", "1"),))
        self.assertEqual(with_field(File("a"), "x-a", "1"), serve)
