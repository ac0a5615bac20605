package engine

import (
	"slices"

	"lowbit/internal/tensor"
)

// lowerScatterND copies operand 0 and puts the slices of operand 2 where constant indices say.
func lowerScatterND(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	idx, ok := intsOf(n.in[1])
	if !ok || len(idx) == 0 || !movable(x.dtype) || n.onnx.Str("reduction", "none") != "none" || y.elems() == 0 || n.in[2].elems() == 0 {
		return false
	}
	last := len(n.in[1].shape) - 1
	rows, depth := n.in[1].shape[:last], n.in[1].shape[last]
	if depth > len(x.shape) || !sameShape(n.in[2].shape, slices.Concat(rows, x.shape[depth:])) {
		return false
	}
	strides := denseStrides(x.shape)
	size := x.dtype.Bits() / 8
	each := tensor.Elements(x.shape[depth:]) * size
	var at []int
	for i := 0; i+depth <= len(idx); i += depth {
		off := 0
		for k, v := range idx[i : i+depth] {
			if v < 0 {
				v += x.shape[k]
			}
			if v < 0 || v >= x.shape[k] {
				return false
			}
			off += v * strides[k]
		}
		at = append(at, off*size)
	}
	src, updates, dst := lw.use(x, rowMajor), lw.use(n.in[2], rowMajor), lw.make(y, rowMajor)
	lw.emit(&step{node: n, kernel: "scatter", in: []*slot{src, updates}, out: []*slot{dst}, run: func(f *frame, _ int) error {
		to, from := f.u8(dst), f.u8(updates)
		copy(to, f.u8(src))
		for i, o := range at {
			copy(to[o:o+each], from[i*each:])
		}
		return nil
	}})
	return true
}
