package main

import (
	"strings"
	"unicode/utf8"
)

// The request line, parsed: the path of the site that it names. It follows the default policy,
// in guest/src/line.rs and guest/src/path.rs.

// target is the path and the query of a request.
type target struct {
	fault fault
	// path is below the site's root, decoded, without "." and "..", and does not begin with
	// "/"; that of a directory ends with "/", and the root is "".
	path string
	// query is unchanged, with its "?", or "".
	query string
}

// fault is why there is no target.
type fault int

const (
	noFault   fault = iota
	malformed       // the line is no request line
	nothing         // it is a request line that can name nothing here
)

// siteTarget returns the target of the request with this line, or why it has none.
func siteTarget(line string) target {
	// The host asks about well-formed lines alone, except when it validates a guest.
	for i := 0; i < len(line); i++ {
		if line[i] < ' ' || line[i] > '~' {
			return target{fault: malformed}
		}
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || strings.Contains(parts[1], "#") {
		return target{fault: malformed}
	}
	method, rest, version := parts[0], parts[1], parts[2]
	if len(version) != 8 || version[:7] != "HTTP/1." || version[7] < '0' || version[7] > '9' {
		return target{fault: malformed}
	}
	if method == "CONNECT" || method == "OPTIONS" && rest == "*" {
		return target{fault: nothing}
	}
	if rest[0] != '/' {
		// The same with "http://host" before it.
		scheme, after, found := strings.Cut(rest, "://")
		if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			return target{fault: malformed}
		}
		end := strings.IndexAny(after, "/?")
		if end < 0 {
			end = len(after)
		}
		if end == 0 || strings.Contains(after[:end], "@") {
			return target{fault: malformed}
		}
		rest = after[end:]
	}
	path, query := rest, ""
	if end := strings.IndexByte(rest, '?'); end >= 0 {
		path, query = rest[:end], rest[end:]
	}
	resolved, fault := resolve(strings.TrimPrefix(path, "/"))
	return target{fault: fault, path: resolved, query: query}
}

// resolve decodes each name of a path once, and then resolves dots (RFC 3986, section 5.2.4).
func resolve(path string) (string, fault) {
	found := noFault
	var names []string
	isDirectory := true
	for _, segment := range strings.Split(path, "/") {
		name, ok := unescape(segment)
		if !ok {
			return "", malformed
		}
		isDirectory = name == "" || name == "." || name == ".."
		switch {
		case name == "." || name == ".." && len(names) == 0:
			if name == ".." {
				// Above the root.
				found = nothing
			}
		case name == "..":
			names = names[:len(names)-1]
		default:
			names = append(names, name)
			// An escaped separator, or a control character: no file of a site.
			if strings.ContainsFunc(name, isUnusable) || !utf8.ValidString(name) {
				found = nothing
			}
		}
	}
	if found != noFault {
		return "", found
	}
	// Empty names count until here, as they do in a browser.
	var resolved strings.Builder
	for _, name := range names {
		if name != "" {
			if resolved.Len() > 0 {
				resolved.WriteByte('/')
			}
			resolved.WriteString(name)
		}
	}
	if isDirectory && resolved.Len() > 0 {
		resolved.WriteByte('/')
	}
	return resolved.String(), noFault
}

func isUnusable(r rune) bool {
	return r == '/' || r == '\\' || r < ' ' || r == 0x7f
}

// unescape replaces each percent-escape by its byte (RFC 3986, section 2.1).
func unescape(segment string) (string, bool) {
	var decoded strings.Builder
	for i := 0; i < len(segment); i++ {
		if segment[i] != '%' {
			decoded.WriteByte(segment[i])
			continue
		}
		if i+2 >= len(segment) {
			return "", false
		}
		high, low := strings.IndexByte(digits, lower(segment[i+1])), strings.IndexByte(digits, lower(segment[i+2]))
		if high < 0 || low < 0 {
			return "", false
		}
		decoded.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return decoded.String(), true
}

// escape escapes a path for a URL.
func escape(path string) string {
	var escaped strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case 'a' <= lower(c) && lower(c) <= 'z', '0' <= c && c <= '9', strings.IndexByte("/-._~", c) >= 0:
			escaped.WriteByte(c)
		default:
			escaped.WriteByte('%')
			escaped.WriteByte(digits[c>>4])
			escaped.WriteByte(digits[c&15])
		}
	}
	return escaped.String()
}

const digits = "0123456789abcdef"

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
