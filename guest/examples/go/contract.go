package main

// The contract of wit/policy.wit, as Go has it. Copy this file, request.go,
// encode.go and exports_wasip1.go into a policy of your own, and configure_wasip1.go if it has data.

// Field is a header field, of a request or of a response.
type Field struct {
	Name, Value string
}

// Request is one request: its line, and the fields that interests names.
type Request struct {
	Line   string
	Fields []Field
}

// Candidate is one thing that the host may do, if its page is there.
type Candidate struct {
	IsFile   bool // otherwise it is the index page of a directory
	Path     string
	Status   uint16 // 0 is 200
	Location string // not empty with the status of a redirect alone
	Fields   []Field
}

// Decision is how to respond to a request: one of the types below.
type Decision interface {
	encode(*encoder) pointer
}

// Index serves the index page of this directory.
type Index string

// File serves this file.
type File string

// Serve does the first of several things that is possible.
type Serve struct {
	Candidates []Candidate
	Otherwise  *Redirect // if no candidate can be chosen; without it there is nothing here
	Fields     []Field   // of every response
}

// NotFound says that there is nothing here.
type NotFound struct{}

// Redirect sends the client elsewhere.
type Redirect struct {
	Status   uint16
	Location string
	Fields   []Field
}

// Reply is a small response of the guest's own.
type Reply struct {
	Status uint16
	Fields []Field
	Body   string
}
