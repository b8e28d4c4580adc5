package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	data, err := os.ReadFile("versions.txt")
	if err != nil {
		panic(err)
	}
	if problem := configure(string(data)); problem != "" {
		panic(problem)
	}
	os.Exit(m.Run())
}

// shown returns a decision in one line of text.
func shown(decision Decision) string {
	switch d := decision.(type) {
	case Index:
		return "index " + string(d)
	case File:
		return "file " + string(d)
	case Serve:
		var texts []string
		for _, candidate := range d.Candidates {
			text := candidate.Path
			if candidate.Status != 0 {
				text += fmt.Sprint(" ", candidate.Status)
			}
			texts = append(texts, text)
		}
		return "serve " + strings.Join(texts, ", ")
	case Redirect:
		return fmt.Sprint(d.Status, " ", d.Location)
	case Reply:
		return fmt.Sprint("reply ", d.Status)
	default:
		return "not-found"
	}
}

func TestDecide(t *testing.T) {
	for target, expected := range map[string]string{
		"/":                      "index ",
		"/style.css":             "file style.css",
		"/latest":                "302 /v2.3/",
		"/latest/":               "302 /v2.3/",
		"/latest/a/b?c=d":        "302 /v2.3/a/b?c=d",
		"/latest/a%20%C3%A9":     "302 /v2.3/a%20%c3%a9",
		"/latest//example.org/a": "302 /v2.3/example.org/a",
		"/latest/../v1.9/a":      "serve v1.9/a.html, v1.9/a",
		"/v2/a":                  "302 /v2.3/a",
		"/v1":                    "302 /v1.9/",
		"/v2.3":                  "file v2.3",
		"/v2.3/":                 "serve v2.3/",
		"/v2.3/a/":               "serve v2.3/a/",
		"/v2.3/a":                "serve v2.3/a.html, v2.3/a",
		"/v2.3/a.css":            "serve v2.3/a.css",
		"/v3/a":                  "serve no-such-version.html 404, 404.html 404",
		"/v2.33/":                "serve no-such-version.html 404, 404.html 404",
		"/video":                 "file video",
		"/v":                     "file v",
		"/.git/config":           "not-found",
		"/v2.3/.env":             "not-found",
		"/.well-known/a":         "file .well-known/a",
		"http://h/latest/":       "302 /v2.3/",
		"HTTP://h?a":             "index ",
	} {
		got := shown(decide(Request{Line: "GET " + target + " HTTP/1.1"}))
		if got != expected {
			t.Errorf("%s: expected %s, got %s", target, expected, got)
		}
	}
}

func TestOldVersionIsNotIndexed(t *testing.T) {
	old := decide(Request{Line: "GET /v1.9/a%20b HTTP/1.1"}).(Serve)
	expected := []Field{{"x-robots-tag", "noindex"}, {"link", `</v2.3/a%20b>; rel="canonical"`}}
	if !reflect.DeepEqual(old.Fields, expected) {
		t.Errorf("got %v", old.Fields)
	}
	if supported := decide(Request{Line: "GET /v2.2/a HTTP/1.1"}).(Serve); supported.Fields != nil {
		t.Errorf("got %v", supported.Fields)
	}
}

func TestVersionsAreParsed(t *testing.T) {
	got, problem := parseVersions("# a comment of words\n\nv2 supported\nv1 old\n")
	if expected := []version{{"v2", false}, {"v1", true}}; !reflect.DeepEqual(got, expected) {
		t.Errorf("got %v, %s", got, problem)
	}
}

func TestMistakeInVersionsIsTold(t *testing.T) {
	before := versions
	for data, expected := range map[string]string{
		"":                   "there is no version: name a file of them with --data versions.txt",
		"# none\n":           "there is no version: name a file of them with --data versions.txt",
		"v2 supported\nv1\n": "line 2: write the folder of a version, and `supported` or `old`",
		"v1 new":             "line 1: write the folder of a version, and `supported` or `old`",
		"../v1 old":          "line 1: write the folder of a version, and `supported` or `old`",
	} {
		if problem := configure(data); problem != expected {
			t.Errorf("%q: %s", data, problem)
		}
	}
	if !reflect.DeepEqual(versions, before) {
		t.Error("what was refused left something behind")
	}
}

func TestLineWithoutTargetIsAFault(t *testing.T) {
	for fault, lines := range map[fault][]string{
		malformed: {
			"", "GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/2.0", "GET / HTTP/1.10", "GET a HTTP/1.1",
			"GET ? HTTP/1.1", "GET /% HTTP/1.1", "GET /../%4 HTTP/1.1", "GET /a#b HTTP/1.1", "GET /\xe9 HTTP/1.1",
			"GET http:///a HTTP/1.1", "GET http://u@h/ HTTP/1.1", "GET ftp://h/ HTTP/1.1",
		},
		nothing: {
			"GET /.. HTTP/1.1", "GET /%2e%2e/a HTTP/1.1", "GET /a%2fb HTTP/1.1", "GET /a\\b HTTP/1.1",
			"GET /a%00 HTTP/1.1", "GET /%ff HTTP/1.1", "GET /%ed%a0%80 HTTP/1.1", "CONNECT h:443 HTTP/1.1",
			"OPTIONS * HTTP/1.1",
		},
	} {
		for _, line := range lines {
			if got := siteTarget(line).fault; got != fault {
				t.Errorf("%q: expected %d, got %d", line, fault, got)
			}
		}
	}
}

// The layout is the canonical ABI's; `innkeeper test` tests the built guest.
func TestEncoding(t *testing.T) {
	var blocks [][]uint32
	e := encoder{
		place: func(block []uint32) pointer { blocks = append(blocks, block); return pointer(len(blocks)) },
		text:  func(string) pointer { return 99 },
	}
	decision := Serve{
		Candidates: []Candidate{
			{IsFile: true, Path: "ab", Status: 301, Location: "/a", Fields: []Field{{"a", "bcd"}}},
			{Path: "abc"},
		},
		Otherwise: &Redirect{Status: 302, Location: "/abc"},
		Fields:    []Field{{"a", "bcd"}},
	}
	if at := decision.encode(&e); at != 6 {
		t.Fatalf("the decision is block %d", at)
	}
	expected := [][]uint32{
		{99, 1, 99, 3},
		nil,
		{1, 99, 2, 301, 1, 99, 2, 1, 1, 0, 99, 3, 200, 0, 0, 0, 2, 0},
		nil,
		{99, 1, 99, 3},
		{2, 3, 2, 1, 302, 99, 4, 4, 0, 5, 1},
	}
	if !reflect.DeepEqual(blocks, expected) {
		t.Errorf("got %v", blocks)
	}
}
