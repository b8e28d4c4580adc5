//go:build !development

package main

// flush does nothing: what a released guest prints is gone, by released.wat.
func flush() {}
