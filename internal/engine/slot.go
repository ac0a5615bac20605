package engine

import (
	"slices"

	"lowbit/internal/tensor"
)

// layout is the order in which a value's elements lie in memory.
type layout uint8

const (
	rowMajor     layout = iota // as ONNX has it: (N, C, D1, …, Dk)
	channelsLast               // (N, D1, …, Dk, C), of three dimensions and more
	numLayouts
)

func (l layout) String() string { return [numLayouts]string{"row-major", "channels-last"}[l] }

// physical returns the dimensions in memory order.
func (l layout) physical(shape []int) []int {
	if l == rowMajor || len(shape) < 3 {
		return shape
	}
	p := append([]int{shape[0]}, shape[2:]...)
	return append(p, shape[1])
}

// axis returns where dimension a of the ONNX shape lies in memory order.
func (l layout) axis(a, rank int) int {
	switch {
	case l == rowMajor || rank < 3 || a == 0:
		return a
	case a == 1:
		return rank - 1
	}
	return a - 1
}

// logical returns which dimension of the ONNX shape lies at place p of the memory order.
func (l layout) logical(p, rank int) int {
	switch {
	case l == rowMajor || rank < 3 || p == 0:
		return p
	case p == rank-1:
		return 1
	}
	return p + 1
}

// neutral says whether both layouts put the elements of that shape in the same order.
func neutral(shape []int) bool {
	if len(shape) < 3 || tensor.Elements(shape) == 0 {
		return true
	}
	return shape[1] == 1 || tensor.Elements(shape[2:]) == 1
}

// place says whose memory a slot is.
type place uint8

const (
	inArena  place = iota // a part of the run's arena
	inConst               // a constant of the program
	inInput               // the caller's tensor
	inOutput              // a tensor made for the caller in each run
	inHeap                // whatever tensor the step made
)

// A slot is memory that steps read and write: a value in one layout, or scratch.
type slot struct {
	id    int
	dtype tensor.DType
	shape []int // as the holder of the tensor sees it: in memory order
	bytes int
	place place
	konst *tensor.Tensor
	root  *slot   // whose memory this one shares; itself unless it is a view
	views []*slot // of a root: the others that share its memory
	owned bool    // inHeap: the tensor is made anew in each run and changed by nobody
	deps  []*slot // roots whose memory this one's tensor may point into

	first, last int // of a root: the steps between which it is alive
	offset      int // of a root: where it lies in the arena
	name        string
}

// tensor makes the tensor of s over raw.
func (s *slot) tensor(raw []byte) *tensor.Tensor {
	return &tensor.Tensor{DType: s.dtype, Shape: slices.Clone(s.shape), Raw: raw}
}
