package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// dealtBlocks are the sizes of blocks whose rows a kernel takes apart.
var dealtBlocks = map[int]bool{2: true, 3: true}

// lowerSpaceToDepth emits SpaceToDepth in row-major order, where each row falls into as many as a block is wide.
func lowerSpaceToDepth(lw *lowerer, n *node) bool {
	x, y, b := n.in[0], n.out[0], n.onnx.Int("blocksize", 0)
	if l, ok := lw.natural(x); !ok || l != rowMajor || !dealtBlocks[b] || len(x.shape) != 4 || !movable(x.dtype) || x.elems() == 0 || x.shape[2]%b != 0 || x.shape[3]%b != 0 {
		return false
	}
	rows := x.elems() / x.shape[3]
	src, dst := lw.use(x, rowMajor), lw.make(y, rowMajor)
	parts := lw.partsFor(float64(dst.bytes)*moveNanosPerByte, rows)
	shape := x.shape
	lw.emit(&step{node: n, kernel: "deal pixels", parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		from, to, u, v := f.vals[src.id], f.vals[dst.id], rows*part/parts, rows*(part+1)/parts
		switch from.DType.Bits() {
		case 8:
			dealPixels(lw.level, to.Raw, from.Raw, shape, b, u, v)
		case 16:
			dealPixels(lw.level, tensor.Of[uint16](to), tensor.Of[uint16](from), shape, b, u, v)
		case 32:
			dealPixels(lw.level, tensor.Of[uint32](to), tensor.Of[uint32](from), shape, b, u, v)
		case 64:
			dealPixels(lw.level, tensor.Of[uint64](to), tensor.Of[uint64](from), shape, b, u, v)
		}
		return nil
	}})
	return true
}

// dealPixels moves the rows u to v-1 of images (N, C, H, W) to images (N, b, b, C, H/b, W/b).
func dealPixels[T kernel.Word](l kernel.Level, dst, src []T, shape []int, b, u, v int) {
	c, h, w := shape[1], shape[2], shape[3]
	plane := h / b * (w / b)
	for r := u; r < v; r++ {
		image, channel, y := r/h/c, r/h%c, r%h
		to := ((image*b+y%b)*b*c+channel)*plane + y/b*(w/b)
		kernel.TransposePitch(l, dst[to:], src[r*w:][:w], w/b, b, c*plane, b)
	}
}
