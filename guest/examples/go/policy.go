// A policy for documentation in several versions: /latest/ redirects to the newest version, /v2/
// to the newest version 2, search engines index the newest alone, and an unknown version gets a
// page that says so.
package main

import (
	"strconv"
	"strings"
)

// version is one version of the documentation, in a folder of the site.
type version struct {
	name  string
	isOld bool
}

// versions are the data: one at least.
var versions []version

// configure reads the versions, of which each line has one. It returns what is wrong with them.
func configure(data string) string {
	read, problem := parseVersions(strings.Clone(data))
	if problem == "" {
		versions = read
	}
	return problem
}

func parseVersions(text string) (versions []version, problem string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 || words[1] != "old" && words[1] != "supported" || !isFolder(words[0]) {
			why := ": write the folder of a version, and `supported` or `old`"
			return nil, "line " + strconv.Itoa(number) + why
		}
		versions = append(versions, version{name: words[0], isOld: words[1] == "old"})
	}
	if versions == nil {
		return nil, "there is no version: name a file of them with --data versions.txt"
	}
	return versions, ""
}

// isFolder reports whether the host can serve a folder of this name, at a URL without escapes.
func isFolder(name string) bool {
	isOther := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r))
	}
	return !strings.HasPrefix(name, ".") && strings.IndexFunc(name, isOther) < 0
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
