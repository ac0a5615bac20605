//go:build !linux

package main

// totalMemory is not known here: --max-memory limits only where it is given.
func totalMemory() int64 { return 0 }

// residentMemory is what the process holds now, mapped files aside, in bytes.
func residentMemory() int64 { return heapMemory() }

// peakMemory is what the Go runtime has ever taken from the system, in bytes.
func peakMemory() int64 { return takenMemory() }
