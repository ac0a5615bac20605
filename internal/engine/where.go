package engine

import "lowbit/internal/tensor"

// lowerWhere emits a choice between the elements of two tensors, with ONNX's broadcasting.
func lowerWhere(lw *lowerer, n *node) bool {
	c, u, v, y := n.in[0], n.in[1], n.in[2], n.out[0]
	choose := map[tensor.DType]func(w *choice, dst, x, y *tensor.Tensor, c []bool, from, to int){
		tensor.Float32: chooseRows[float32], tensor.Int32: chooseRows[int32], tensor.Int64: chooseRows[int64], tensor.Bool: chooseRows[bool],
	}[y.dtype]
	if choose == nil || !c.is(tensor.Bool) || u.dtype != y.dtype || v.dtype != y.dtype || y.elems() == 0 {
		return false
	}
	l, rank := lw.followBroadcast(y, c, u, v), len(y.shape)
	w := &choice{dims: l.physical(y.shape)}
	var in []*slot
	for _, x := range n.in {
		if !broadcasts(x.shape, y.shape) {
			return false
		}
		in = append(in, lw.useIn(x, l, rank))
		w.strides = append(w.strides, repeatStrides(l.physical(padShape(x.shape, rank)), w.dims))
	}
	w.merge()
	dst := lw.make(y, l)
	outer := tensor.Elements(w.dims[:len(w.dims)-1])
	parts := lw.partsFor(float64(y.elems())*functionNanos, outer)
	lw.emit(&step{node: n, kernel: y.dtype.String() + " Where", parts: parts, in: in, out: []*slot{dst}, run: func(f *frame, part int) error {
		choose(w, f.vals[dst.id], f.vals[in[1].id], f.vals[in[2].id], tensor.Of[bool](f.vals[in[0].id]), outer*part/parts, outer*(part+1)/parts)
		return nil
	}})
	return true
}

// A choice walks a condition and two operands over the elements of a result; a stride of 0 repeats.
type choice struct {
	dims    []int
	strides [][]int // by operand and dimension; the last ones are 0 or 1
}

// merge joins neighbouring dimensions that all operands walk alike.
func (w *choice) merge() {
	var dims []int
	strides := make([][]int, len(w.strides))
	for i, d := range w.dims {
		k := len(dims) - 1
		alike := k >= 0
		for o, s := range w.strides {
			alike = alike && strides[o][k] == s[i]*d
		}
		switch {
		case d == 1 && (k >= 0 || i < len(w.dims)-1):
			continue
		case alike:
			dims[k] *= d
		default:
			dims, k = append(dims, d), k+1
			for o := range strides {
				strides[o] = append(strides[o], 0)
			}
		}
		for o, s := range w.strides {
			strides[o][k] = s[i]
		}
	}
	if len(dims) == 0 {
		dims = []int{1}
		for o := range strides {
			strides[o] = []int{0}
		}
	}
	w.dims, w.strides = dims, strides
}

// at is where operand o begins row i.
func (w *choice) at(o, i int) (from int) {
	for k := len(w.dims) - 2; k >= 0; k-- {
		from += i % w.dims[k] * w.strides[o][k]
		i /= w.dims[k]
	}
	return from
}

// chooseRows makes the rows from to to-1.
func chooseRows[T float32 | int32 | int64 | bool](w *choice, dst, x, y *tensor.Tensor, c []bool, from, to int) {
	k := len(w.dims) - 1
	n, sc, sx, sy := w.dims[k], w.strides[0][k], w.strides[1][k], w.strides[2][k]
	d, u, v := tensor.Of[T](dst), tensor.Of[T](x), tensor.Of[T](y)
	for i := from; i < to; i++ {
		row, oc, ox, oy := d[i*n:][:n], w.at(0, i), w.at(1, i), w.at(2, i)
		switch {
		case sc == 0 && c[oc]:
			fillRow(row, u[ox:], sx)
		case sc == 0:
			fillRow(row, v[oy:], sy)
		case sx == 0 && sy == 1:
			chooseOne(row, v[oy:][:n], c[oc:][:n], u[ox], true)
		case sx == 1 && sy == 0:
			chooseOne(row, u[ox:][:n], c[oc:][:n], v[oy], false)
		default:
			for j, is := range c[oc:][:n] {
				if is {
					row[j] = u[ox+j*sx]
				} else {
					row[j] = v[oy+j*sy]
				}
			}
		}
	}
}

// chooseOne copies x, but for one number where c is when.
func chooseOne[T any](dst, x []T, c []bool, one T, when bool) {
	for j, v := range x {
		if c[j] == when {
			v = one
		}
		dst[j] = v
	}
}

// fillRow copies a row, or repeats its first element where the stride is 0.
func fillRow[T any](dst, x []T, stride int) {
	if stride == 1 {
		copy(dst, x)
		return
	}
	one := x[0]
	for j := range dst {
		dst[j] = one
	}
}
