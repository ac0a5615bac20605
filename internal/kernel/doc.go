// Package kernel is arithmetic on slices, as fast as the machine allows. It
// knows no tensors, starts no goroutine and keeps no state between calls.
//
// Every function family hangs on a [Level], the instruction set it may use:
// kernel.AVX2.Something(...). A Level that the machine lacks falls back to the
// best one below it, so no call can meet an unknown instruction. Each family
// has a plain Go body that says what it computes; assembly follows it bit by
// bit for integers, and within rounding for floats.
//
// Slices that are too short for the stated sizes panic like any index out of
// range, before assembly is entered.
package kernel

//go:generate go run -C _asm .
