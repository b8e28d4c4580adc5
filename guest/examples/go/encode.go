package main

// The layout of a decision in memory, which the host reads: the canonical ABI of the component
// model. Numbers are little-endian, and each part of a record stands at the next multiple of
// its alignment. A list or a string is a pointer and a count.

// pointer is an address in the guest's memory: 32 bits, where Go itself has 64.
type pointer = uint32

// encoder builds values in memory.
type encoder struct {
	// place returns the address of a block, which must not move.
	place func(block []uint32) pointer
	// text returns the address of a string's bytes.
	text func(string) pointer
}

// The numbers of the cases are their places in the WIT.
const (
	pageIndex = iota
	pageFile
)

const (
	decisionIndex = iota
	decisionFile
	decisionServe
	decisionNotFound
	decisionRedirect
	decisionReply
)

// decision places a decision, which is as large as the largest of its cases.
func (e *encoder) decision(kind uint32, words ...uint32) pointer {
	block := make([]uint32, 11)
	block[0] = kind
	copy(block[1:], words)
	return e.place(block)
}

func (path Index) encode(e *encoder) pointer {
	return e.decision(decisionIndex, e.text(string(path)), size(string(path)))
}

func (path File) encode(e *encoder) pointer {
	return e.decision(decisionFile, e.text(string(path)), size(string(path)))
}

func (s Serve) encode(e *encoder) pointer {
	var candidates []uint32
	for _, candidate := range s.Candidates {
		candidates = append(candidates, candidate.words(e)...)
	}
	words := []uint32{e.place(candidates), uint32(len(s.Candidates))}
	if s.Otherwise != nil {
		words = append(append(words, some), s.Otherwise.words(e)...)
	} else {
		words = append(words, none, 0, 0, 0, 0, 0)
	}
	return e.decision(decisionServe, append(words, e.fields(s.Fields), uint32(len(s.Fields)))...)
}

// An option has a number that says whether the value is there, and room for it.
const (
	none = iota
	some
)

func (c Candidate) words(e *encoder) []uint32 {
	kind, status := uint32(pageIndex), uint32(c.Status)
	if c.IsFile {
		kind = pageFile
	}
	if status == 0 {
		status = 200
	}
	words := []uint32{kind, e.text(c.Path), size(c.Path), status}
	if c.Location != "" {
		words = append(words, some, e.text(c.Location), size(c.Location))
	} else {
		words = append(words, none, 0, 0)
	}
	return append(words, e.fields(c.Fields), uint32(len(c.Fields)))
}

func (NotFound) encode(e *encoder) pointer {
	return e.decision(decisionNotFound)
}

func (r Redirect) encode(e *encoder) pointer {
	return e.decision(decisionRedirect, r.words(e)...)
}

func (r Redirect) words(e *encoder) []uint32 {
	return []uint32{
		uint32(r.Status),
		e.text(r.Location), size(r.Location),
		e.fields(r.Fields), uint32(len(r.Fields)),
	}
}

func (r Reply) encode(e *encoder) pointer {
	return e.decision(
		decisionReply,
		uint32(r.Status),
		e.fields(r.Fields), uint32(len(r.Fields)),
		e.text(r.Body), size(r.Body),
	)
}

func (e *encoder) fields(fields []Field) pointer {
	var block []uint32
	for _, field := range fields {
		block = append(block, e.text(field.Name), size(field.Name), e.text(field.Value), size(field.Value))
	}
	return e.place(block)
}

// result encodes a result without a value: problem is its error, if there is one.
func (e *encoder) result(problem string) pointer {
	if problem == "" {
		return e.place([]uint32{0, 0, 0})
	}
	return e.place([]uint32{1, e.text(problem), size(problem)})
}

// names encodes a list of strings, as interests returns it.
func (e *encoder) names(names []string) pointer {
	var block []uint32
	for _, name := range names {
		block = append(block, e.text(name), size(name))
	}
	return e.place([]uint32{e.place(block), uint32(len(names))})
}

func size(text string) uint32 {
	return uint32(len(text))
}
