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
		case sx == 1 && sy == 1:
			arithRow(kind, row, u[ox:][:n], v[oy:][:n])
		case sx == 1 && kind == "Sub":
			addWhole(row, u[ox:][:n], -v[oy])
		case sx == 1:
			arithRowScalar(kind, row, u[ox:][:n], v[oy])
		case sy == 1 && kind != "Sub":
			arithRowScalar(kind, row, v[oy:][:n], u[ox])
		default:
			for j := range row {
				arithRow(kind, row[j:j+1], u[ox+j*sx:][:1], v[oy+j*sy:][:1])
			}
		}
	}
}

func arithRow[T int32 | int64](kind string, dst, x, y []T) {
	x, y = x[:len(dst)], y[:len(dst)]
	switch kind {
	case "Add":
		for i := range dst {
			dst[i] = x[i] + y[i]
		}
	case "Sub":
		for i := range dst {
			dst[i] = x[i] - y[i]
		}
	default:
		for i := range dst {
			dst[i] = x[i] * y[i]
		}
	}
}

// arithRowScalar adds a number to a row or multiplies it.
func arithRowScalar[T int32 | int64](kind string, dst, x []T, y T) {
	if kind == "Add" {
		addWhole(dst, x, y)
		return
	}
	for i, v := range x[:len(dst)] {
		dst[i] = v * y
	}
}

func addWhole[T int32 | int64](dst, x []T, y T) {
	for i, v := range x[:len(dst)] {
		dst[i] = v + y
	}
}
