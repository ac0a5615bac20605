package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// moveNanosPerByte is what copying one byte from cache to cache takes, roughly.
const moveNanosPerByte = 0.1

// toChannelsLast returns a constant in the other order.
func toChannelsLast(l kernel.Level, t *tensor.Tensor) *tensor.Tensor {
	if neutral(t.Shape) {
		return t.Reshape(channelsLast.physical(t.Shape)...)
	}
	out := tensor.New(t.DType, channelsLast.physical(t.Shape)...)
	c, space := t.Shape[1], tensor.Elements(t.Shape[2:])
	for n := range t.Shape[0] {
		turn(l, out, t, turnPart{dst: n * c * space, src: n * c * space, rows: c, cols: space, ldd: c, lds: space})
	}
	return out
}

// A turnPart is a matrix within a tensor to be transposed: element offsets, size and row pitches.
type turnPart struct{ dst, src, rows, cols, ldd, lds int }

// turn transposes one matrix of src into dst, whatever the type of their elements.
func turn(l kernel.Level, dst, src *tensor.Tensor, p turnPart) {
	switch src.DType.Bits() {
	case 8:
		turnOf[uint8](l, dst, src, p)
	case 16:
		turnOf[uint16](l, dst, src, p)
	case 32:
		turnOf[uint32](l, dst, src, p)
	case 64:
		turnOf[uint64](l, dst, src, p)
	}
}

func turnOf[T uint8 | uint16 | uint32 | uint64](l kernel.Level, dst, src *tensor.Tensor, p turnPart) {
	kernel.TransposePitch(l, tensor.Of[T](dst)[p.dst:], tensor.Of[T](src)[p.src:], p.rows, p.cols, p.ldd, p.lds)
}

// movable says whether elements of that type can be copied one by one.
func movable(d tensor.DType) bool {
	b := d.Bits()
	return b == 8 || b == 16 || b == 32 || b == 64
}

// emitRelayout turns v from one layout in the slot from into the other one, to, in the slot dst.
func (lw *lowerer) emitRelayout(v *value, from, dst *slot, to layout) {
	rows, cols := v.shape[1], tensor.Elements(v.shape[2:]) // of the source
	if to == rowMajor {
		rows, cols = cols, rows
	}
	batch := v.shape[0]
	cuts := max(1, (lw.partsFor(float64(dst.bytes)*moveNanosPerByte*4, cols/16)+batch-1)/max(batch, 1))
	st := &step{node: lw.reader(v), kernel: "transpose to " + to.String(), parts: batch * cuts, in: []*slot{from}, out: []*slot{dst}}
	level := lw.level
	st.run = func(f *frame, part int) error {
		n, k := part/cuts, part%cuts
		c0, c1 := cols*k/cuts, cols*(k+1)/cuts
		at := n * rows * cols
		turn(level, f.vals[dst.id], f.vals[from.id], turnPart{dst: at + c0*rows, src: at + c0, rows: rows, cols: c1 - c0, ldd: rows, lds: cols})
		return nil
	}
	lw.emit(st)
}
