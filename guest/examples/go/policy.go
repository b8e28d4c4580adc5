// A policy for documentation in several versions: /latest/ redirects to the newest version, /v2/
// to the newest version 2, search engines index the newest alone, and an unknown version gets a
// page that says so.
package main

import (
	_ "embed"
	"strings"
)

// versionsFile is embedded by the build.
//
//go:embed versions.txt
var versionsFile string

// version is one version of the documentation, in a folder of the site.
type version struct {
	name  string
	isOld bool
}

var versions = parseVersions(versionsFile)

func parseVersions(text string) []version {
	var versions []version
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 2 && words[0] != "#" {
			versions = append(versions, version{name: words[0], isOld: words[1] == "old"})
		}
	}
	return versions
}

// interests is empty: the policy reads the request line alone.
func interests() []string {
	return nil
}

// decide decides how to respond to a request.
func decide(request Request) Decision {
	target := siteTarget(request.Line)
	switch {
	case target.fault == malformed:
		return Reply{Status: 400, Body: "malformed request line\n"}
	case target.fault == nothing || isPrivate(target.path):
		return NotFound{}
	}
	first, rest, isInFolder := strings.Cut(target.path, "/")
	if first == "latest" {
		return moved(versions[0], rest, target.query)
	}
	for _, version := range versions {
		if first == version.name && isInFolder {
			return page(version, target.path, rest)
		}
		if first == version.name {
			// Without the "/" the relative links of its start page would be wrong.
			return File(target.path)
		}
	}
	for _, version := range versions {
		if major, _, _ := strings.Cut(version.name, "."); first == major {
			return moved(version, rest, target.query)
		}
	}
	if looksLikeVersion(first) {
		return Serve{
			Candidates: []Candidate{
				{IsFile: true, Path: "no-such-version.html", Status: 404},
				{IsFile: true, Path: "404.html", Status: 404},
			},
		}
	}
	// Files that all versions share: the start page, style sheets, images.
	return inPlace(target.path)
}

// moved redirects to a page of a version. The version changes in time, so the redirect is
// temporary.
func moved(version version, rest, query string) Decision {
	return Redirect{
		Status:   302,
		Location: "/" + version.name + "/" + escape(rest) + query,
		Fields:   []Field{{"cache-control", "max-age=300"}},
	}
}

// page serves a page of a version. If the page is missing, the host sends the nearest 404.html
// up the tree: that of the version, if it has one.
func page(version version, path, rest string) Decision {
	var candidates []Candidate
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case name == "":
		candidates = []Candidate{{Path: path}}
	case strings.Contains(name, "."):
		candidates = []Candidate{{IsFile: true, Path: path}}
	default:
		candidates = []Candidate{{IsFile: true, Path: path + ".html"}, {IsFile: true, Path: path}}
	}
	var fields []Field
	if version.isOld {
		newest := "</" + versions[0].name + "/" + escape(rest) + ">; rel=\"canonical\""
		fields = []Field{{"x-robots-tag", "noindex"}, {"link", newest}}
	}
	return Serve{Candidates: candidates, Fields: fields}
}

func inPlace(path string) Decision {
	if path == "" || strings.HasSuffix(path, "/") {
		return Index(path)
	}
	return File(path)
}

// looksLikeVersion reports whether this is v and a number, such as v3 or v2.10.1.
func looksLikeVersion(name string) bool {
	number, found := strings.CutPrefix(name, "v")
	return found && number != "" && strings.Trim(number, "0123456789.") == ""
}

// isPrivate reports whether a name begins with a dot, other than .well-known at the root (RFC
// 8615).
func isPrivate(path string) bool {
	for depth, name := range strings.Split(path, "/") {
		if strings.HasPrefix(name, ".") && (depth > 0 || name != ".well-known") {
			return true
		}
	}
	return false
}

func main() {}
