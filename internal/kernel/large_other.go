//go:build !linux

package kernel

import "unsafe"

// inLargePages does nothing: there is no portable way to ask.
func inLargePages(unsafe.Pointer, int) {}
