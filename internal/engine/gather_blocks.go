package engine

import (
	"encoding/binary"
	"math"

	"lowbit/internal/tensor"
)

// A blockRows is a table of codes of a few bits whose rows share scales and zero points by block.
type blockRows struct {
	bits, rows, cols    int // cols in codes
	block, blocks       int
	codeBytes, zeroRow  int     // of a row
	least, defaultPoint float32 // of the codes, and the zero point where none is given
}

// lowerGatherBlocks emits GatherBlockQuantized of rows, whose bytes are read where the indices say.
func lowerGatherBlocks(lw *lowerer, n *node) bool {
	data, index, scale, zero, y := n.in[0], n.in[1], n.in[2], n.input(3), n.out[0]
	r, ok := blockRowsOf(n)
	if !ok || !scale.is(tensor.Float32) || !index.is(tensor.Int64) && !index.is(tensor.Int32) || y.elems() == 0 || y.elems() != index.elems()*r.cols {
		return false
	}
	if !sameShape(scale.shape, []int{r.rows, r.blocks}) || zero != nil && !(zero.is(data.dtype) && sameShape(zero.shape, []int{r.rows, r.zeroRow * 8 / data.dtype.Bits()})) {
		return false
	}
	in := []*slot{lw.use(data, rowMajor), lw.use(index, rowMajor), lw.use(scale, rowMajor)}
	if zero != nil {
		in = append(in, lw.use(zero, rowMajor))
	}
	dst, count := lw.make(y, rowMajor), index.elems()
	parts := lw.partsFor(float64(y.elems())*functionNanos, count)
	lw.emit(&step{node: n, kernel: "rows of codes", parts: parts, in: in, out: []*slot{dst}, run: func(f *frame, part int) error {
		var points []byte
		for i := count * part / parts; i < count*(part+1)/parts; i++ {
			to, k := f.f32(dst)[i*r.cols:][:r.cols], r.row(f.vals[in[1].id], i)
			if k < 0 {
				clear(to)
				continue
			}
			if zero != nil {
				points = f.u8(in[3])[k*r.zeroRow:][:r.zeroRow]
			}
			r.read(to, f.u8(in[0])[k*r.codeBytes:][:r.codeBytes], points, f.u8(in[2])[k*r.blocks*4:][:r.blocks*4])
		}
		return nil
	}})
	return true
}

// blockRowsOf is the table of a node that gathers rows of whole bytes.
func blockRowsOf(n *node) (*blockRows, bool) {
	d, shape, axis := n.in[0].dtype, n.in[0].shape, n.onnx.Int("quantize_axis", 1)
	if len(shape) != 2 || n.onnx.Int("gather_axis", 0) != 0 || axis != 1 && axis != -1 {
		return nil, false
	}
	r := &blockRows{bits: 4, rows: shape[0], cols: shape[1], block: n.onnx.Int("block_size", 128)}
	switch d {
	case tensor.Uint8:
		if r.bits = n.onnx.Int("bits", 4); r.bits != 2 && r.bits != 4 && r.bits != 8 {
			return nil, false
		}
		r.cols *= 8 / r.bits
		r.defaultPoint = float32(int(1) << (r.bits - 1))
	case tensor.Int4:
		r.least = -8
	case tensor.Uint4:
	default:
		return nil, false
	}
	if r.block < 16 || r.block&(r.block-1) != 0 {
		return nil, false
	}
	r.blocks = (r.cols + r.block - 1) / r.block
	r.codeBytes, r.zeroRow = r.cols*r.bits/8, (r.blocks*r.bits+7)/8
	return r, d == tensor.Uint8 || r.cols%2 == 0 && r.blocks%2 == 0
}

// row is the row that index i names, -1 outside the table.
func (r *blockRows) row(index *tensor.Tensor, i int) int {
	var k int
	if index.DType == tensor.Int32 {
		k = int(tensor.Of[int32](index)[i])
	} else {
		k = int(tensor.Of[int64](index)[i])
	}
	if k < 0 {
		k += r.rows
	}
	if k < 0 || k >= r.rows {
		return -1
	}
	return k
}

// read sets dst to what a row of codes stands for. The scales are bytes, since those of a file may lie anywhere.
func (r *blockRows) read(dst []float32, codes, points, scales []byte) {
	for b := range r.blocks {
		s, zero := math.Float32frombits(binary.LittleEndian.Uint32(scales[b*4:])), r.defaultPoint
		if points != nil {
			zero = r.real(points[b*r.bits/8] >> (b * r.bits % 8))
		}
		from := b * r.block
		to := dst[from:min(from+r.block, r.cols)]
		if r.bits == 8 {
			for i, c := range codes[from:][:len(to)] {
				to[i] = (float32(c) - zero) * s
			}
			continue
		}
		var values [16]float32
		for c := range 1 << r.bits {
			values[c] = (r.real(byte(c)) - zero) * s
		}
		r.look(to, codes[from*r.bits/8:], &values)
	}
}

// real is the number that the low bits of c spell.
func (r *blockRows) real(c byte) float32 {
	c &= byte(1<<r.bits - 1)
	if r.least < 0 {
		return float32(int8(c^8)) + r.least
	}
	return float32(c)
}

// look looks codes of two or four bits up.
func (r *blockRows) look(dst []float32, codes []byte, values *[16]float32) {
	if r.bits == 4 {
		for i := 0; i+1 < len(dst); i += 2 {
			c := codes[i/2]
			dst[i], dst[i+1] = values[c&15], values[c>>4]
		}
		return
	}
	for i := range dst {
		dst[i] = values[codes[i/4]>>(i%4*2)&3]
	}
}
