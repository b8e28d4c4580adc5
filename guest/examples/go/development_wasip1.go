//go:build development

package main

import "unsafe"

// What `make dev` builds in place of released_wasip1.go: the host is told what is printed, a line at
// a time, by development.wat.

// line is where a line that is printed is put together.
var line [4096]byte

//go:wasmimport printing use_buffer
func useBuffer(at unsafe.Pointer, size uint32)

// flush tells the host what has no end of line.
//
//go:wasmimport printing flush
func flush()

func init() {
	useBuffer(unsafe.Pointer(&line), uint32(len(line)))
}
