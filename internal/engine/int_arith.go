package engine

import "lowbit/internal/tensor"

// wholeArith lists arithmetic on int32 and int64.
var wholeArith = map[string]bool{"Add": true, "Sub": true, "Mul": true}

// lowerWholeBinary emits arithmetic on whole numbers with ONNX's broadcasting, as of biases that are added to the sums of
// integer products.
func lowerWholeBinary(lw *lowerer, n *node) bool {
	u, v, y := n.input(0), n.input(1), n.out[0]
	if !wholeArith[n.kind] || n.formal != 2 || u.dtype != v.dtype || u.dtype != y.dtype || y.elems() == 0 || !broadcasts(u.shape, y.shape) || !broadcasts(v.shape, y.shape) {
		return false
	}
	run := map[tensor.DType]func(b *broadcast, kind string, dst, x, y *tensor.Tensor, from, to int){tensor.Int32: wholeRows[int32], tensor.Int64: wholeRows[int64]}[y.dtype]
	if run == nil {
		return false
	}
	l, rank := lw.followBroadcast(y, u, v), len(y.shape)
	a, b := lw.useIn(u, l, rank), lw.useIn(v, l, rank)
	dst := lw.make(y, l)
	bc := broadcastOf(l.physical(y.shape), l.physical(padShape(u.shape, rank)), l.physical(padShape(v.shape, rank)))
	outer := tensor.Elements(bc.dims[:len(bc.dims)-1])
	parts := lw.partsFor(float64(y.elems())*functionNanos, outer)
	lw.emit(&step{node: n, kernel: y.dtype.String() + " " + n.kind, parts: parts, in: []*slot{a, b}, out: []*slot{dst}, run: func(f *frame, part int) error {
		run(bc, n.kind, f.vals[dst.id], f.vals[a.id], f.vals[b.id], outer*part/parts, outer*(part+1)/parts)
		return nil
	}})
	return true
}

// wholeRows computes the rows of some outer indices. A stride of 0 repeats one element.
func wholeRows[T int32 | int64](b *broadcast, kind string, dst, x, y *tensor.Tensor, from, to int) {
	k := len(b.dims) - 1
	n, sx, sy := b.dims[k], b.xs[k], b.ys[k]
	d, u, v := tensor.Of[T](dst), tensor.Of[T](x), tensor.Of[T](y)
	for i := from; i < to; i++ {
		ox, oy := b.offsets(i)
		row := d[i*n:][:n]
		switch {
		case kind == "Add" && sx == 1 && sy == 1:
			p, q := u[ox:][:len(row)], v[oy:][:len(row)]
			for j := range row {
				row[j] = p[j] + q[j]
			}
		case kind == "Add":
			for j := range row {
				row[j] = u[ox+j*sx] + v[oy+j*sy]
			}
		case kind == "Sub":
			for j := range row {
				row[j] = u[ox+j*sx] - v[oy+j*sy]
			}
		default:
			for j := range row {
				row[j] = u[ox+j*sx] * v[oy+j*sy]
			}
		}
	}
}
