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
	candidateIndex = iota
	candidateFile
)

const (
	decisionIndex = iota
	decisionFile
	decisionServe
	decisionNotFound
	decisionRedirect
	decisionReply
)

func (path Index) encode(e *encoder) pointer {
	return e.place([]uint32{decisionIndex, e.text(string(path)), size(string(path)), 0, 0, 0})
}

func (path File) encode(e *encoder) pointer {
	return e.place([]uint32{decisionFile, e.text(string(path)), size(string(path)), 0, 0, 0})
}

func (s Serve) encode(e *encoder) pointer {
	var candidates []uint32
	for _, candidate := range s.Candidates {
		kind := uint32(candidateIndex)
		if candidate.IsFile {
			kind = candidateFile
		}
		candidates = append(candidates, kind, e.text(candidate.Path), size(candidate.Path))
	}
	return e.place([]uint32{
		decisionServe,
		e.place(candidates), uint32(len(s.Candidates)),
		uint32(s.Status),
		e.fields(s.Fields), uint32(len(s.Fields)),
	})
}

func (NotFound) encode(e *encoder) pointer {
	return e.place([]uint32{decisionNotFound, 0, 0, 0, 0, 0})
}

func (r Redirect) encode(e *encoder) pointer {
	return e.place([]uint32{
		decisionRedirect,
		uint32(r.Status),
		e.text(r.Location), size(r.Location),
		e.fields(r.Fields), uint32(len(r.Fields)),
	})
}

func (r Reply) encode(e *encoder) pointer {
	return e.place([]uint32{
		decisionReply,
		uint32(r.Status),
		e.fields(r.Fields), uint32(len(r.Fields)),
		e.text(r.Body), size(r.Body),
	})
}

func (e *encoder) fields(fields []Field) pointer {
	var block []uint32
	for _, field := range fields {
		block = append(block, e.text(field.Name), size(field.Name), e.text(field.Value), size(field.Value))
	}
	return e.place(block)
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
