package tensor

import (
	"math/bits"
	"slices"
	"sync"
)

// Memory of tensors that are done with, by size class, until the collector takes it.
var spare [64 * classSteps]sync.Pool

const (
	leastSpare = 4 << 10 // fewer bytes are not worth it
	classSteps = 8       // between two powers of two: an eighth is wasted at most
)

// classOf returns the size class of memory for n bytes and the bytes that it has.
func classOf(n int) (class, size int) {
	shift := bits.Len(uint(n-1)) - bits.Len(classSteps)
	steps := (n + 1<<shift - 1) >> shift
	return shift*classSteps + steps - classSteps, steps << shift
}

// Scratch is [New] whose elements hold anything: it takes memory that was recycled, where there is some.
func Scratch(d DType, shape ...int) *Tensor {
	if d == String {
		return New(d, shape...)
	}
	return &Tensor{DType: d, Shape: slices.Clone(shape), Raw: ScratchBytes(d.ByteLen(Elements(shape)), 1), scratch: true}
}

// Recycle hands over the memory of those tensors that Scratch made. Nobody may read or write them any more.
func Recycle(tensors map[string]*Tensor) {
	for _, t := range tensors {
		if t != nil && t.scratch {
			RecycleBytes(t.Raw)
			t.Raw, t.scratch = nil, false
		}
	}
}

// Keep returns the same tensors as ones that Recycle leaves alone.
func Keep(tensors map[string]*Tensor) map[string]*Tensor {
	kept := make(map[string]*Tensor, len(tensors))
	for name, t := range tensors {
		if t != nil && t.scratch {
			own := *t
			own.scratch = false
			t = &own
		}
		kept[name] = t
	}
	return kept
}

// ScratchBytes returns n bytes on a 64-byte boundary that hold anything, of memory that is up to so many times as large.
func ScratchBytes(n, times int) []byte {
	if n < leastSpare {
		return alignedBytes(n)
	}
	class, size := classOf(n)
	last, _ := classOf(n * times)
	for c := class; c <= last; c++ {
		if b, ok := spare[c].Get().(*[]byte); ok {
			return (*b)[:n]
		}
	}
	return alignedBytes(size)[:n]
}

// RecycleBytes hands over memory that ScratchBytes returned. Nobody may read or write it any more.
func RecycleBytes(b []byte) {
	b = b[:cap(b)]
	if len(b) < leastSpare {
		return
	}
	if class, size := classOf(len(b)); size == len(b) {
		spare[class].Put(&b)
	}
}
