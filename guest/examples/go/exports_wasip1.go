package main

import "unsafe"

// The functions that the host calls. The names are those of the interface and its functions.

// kept holds all values whose address the host has, so that the garbage collector keeps them.
// It never grows large: each decision runs on a fresh instance.
var kept []any

var memory = encoder{
	place: func(block []uint32) pointer {
		kept = append(kept, block)
		return address(unsafe.Pointer(unsafe.SliceData(block)))
	},
	text: func(text string) pointer {
		kept = append(kept, text)
		return address(unsafe.Pointer(unsafe.StringData(text)))
	},
}

func address(at unsafe.Pointer) pointer {
	return pointer(uintptr(at))
}

// The host allocates memory for a request. It never reallocates.
//
//go:wasmexport cabi_realloc
func cabiRealloc(old, oldSize, alignment, size uint32) pointer {
	if oldSize != 0 || size == 0 {
		return old
	}
	return memory.place(make([]uint32, (size+3)/4))
}

//go:wasmexport innkeeper:policy/policy@0.1.0#interests
func exportInterests() pointer {
	return memory.names(interests())
}

// A record of two lists is flattened to four numbers.
//
//go:wasmexport innkeeper:policy/policy@0.1.0#decide
func exportDecide(line unsafe.Pointer, lineSize uint32, fields unsafe.Pointer, count uint32) pointer {
	request := Request{Line: unsafe.String((*byte)(line), lineSize)}
	for _, f := range unsafe.Slice((*[4]uint32)(fields), count) {
		request.Fields = append(request.Fields, Field{Name: textAt(f[0], f[1]), Value: textAt(f[2], f[3])})
	}
	decision := decide(request)
	flush()
	return decision.encode(&memory)
}

func textAt(at pointer, size uint32) string {
	return unsafe.String((*byte)(unsafe.Pointer(uintptr(at))), size)
}
