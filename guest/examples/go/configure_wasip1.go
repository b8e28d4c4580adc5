package main

import "unsafe"

// The host calls it once, before all else: what it leaves is there for each decision. The text that
// configure returns refuses the data, if it is not empty.
//
//go:wasmexport innkeeper:policy/configuration@0.1.0#configure
func exportConfigure(data unsafe.Pointer, dataSize uint32) pointer {
	fault := configure(unsafe.String((*byte)(data), dataSize))
	flush()
	return memory.result(fault)
}
