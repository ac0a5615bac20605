package engine

import (
	"context"

	"lowbit/internal/tensor"
)

// pickedRows are the rows of a matrix that indices pick, times what marks them; the last row is zero.
type pickedRows struct {
	table       []float32
	depth, cols int
}

// findPickedRows finds products of a matrix with rows of zeros but for one element, as OneHot makes them in front of an
// embedding: each is a row of the matrix.
func findPickedRows(g *net) {
	for _, n := range g.nodes {
		if n.kind != "MatMul" || !n.static() || !n.out[0].is(tensor.Float32) || len(n.in[1].shape) != 2 {
			continue
		}
		hot, mark := g.marked(n.in[0])
		if hot == nil || n.in[1].shape[0] != hot.out[0].shape[len(hot.out[0].shape)-1] {
			continue
		}
		if p := g.pickedRows(n.in[1], mark); p != nil {
			n.become("pick rows", p, hot.in[0])
		}
	}
	g.sweep()
}

// marked returns the OneHot whose results, zero but for mark, v has as its rows, through shapes and codes: nil where it has not.
func (g *net) marked(v *value) (hot *node, mark float32) {
	var chain []*node
	for n := v.def; n != nil && n.static(); n = n.in[0].def {
		switch n.kind {
		case "Reshape":
			x, y := n.in[0].shape, n.out[0].shape
			if len(x) == 0 || len(y) == 0 || x[len(x)-1] != y[len(y)-1] || n.out[0].elems() == 0 {
				return nil, 0
			}
		case "QuantizeLinear", "DequantizeLinear":
			if s := n.in[1]; s.konst == nil || s.elems() != 1 || n.input(2) != nil && n.in[2].konst == nil {
				return nil, 0
			}
			chain = append(chain, n)
		case "OneHot":
			return g.markedBy(n, chain)
		default:
			return nil, 0
		}
	}
	return nil, 0
}

// markedBy is marked for what is known to follow: conversions, the last first.
func (g *net) markedBy(hot *node, chain []*node) (*node, float32) {
	axis, rank := hot.onnx.Int("axis", -1), len(hot.out[0].shape)
	if axis != -1 && axis != rank-1 || !hot.in[0].is(tensor.Int32) && !hot.in[0].is(tensor.Int64) || hot.in[1].konst == nil || hot.in[2].konst == nil {
		return nil, 0
	}
	values := hot.in[2].konst
	for i := len(chain) - 1; i >= 0; i-- {
		n := chain[i]
		e, err := g.evaluator(n, 0)
		if err != nil {
			return nil, 0
		}
		in := []*tensor.Tensor{values, n.in[1].konst, nil}[:len(n.in)]
		if z := n.input(2); z != nil {
			in[2] = z.konst
		}
		res, err := e.run(context.Background(), in)
		if err != nil {
			return nil, 0
		}
		values = res[0]
	}
	if values.DType != tensor.Float32 || values.Len() != 2 {
		return nil, 0
	}
	if v := tensor.Of[float32](values); v[0] == 0 && v[1]-v[1] == 0 {
		return hot, v[1]
	}
	return nil, 0
}

// pickedRows multiplies a constant matrix of finite numbers, nil where it is not that.
func (g *net) pickedRows(w *value, mark float32) *pickedRows {
	t := w.konst
	if t == nil && w.def != nil && w.def.kind == "DequantizeLinear" {
		if res := g.constantResults(w.def); res != nil {
			t = res[0]
		}
	}
	if t == nil || t.DType != tensor.Float32 {
		return nil
	}
	p := &pickedRows{depth: w.shape[0], cols: w.shape[1], table: make([]float32, t.Len()+w.shape[1])}
	for i, x := range tensor.Of[float32](t) {
		if x-x != 0 {
			return nil
		}
		p.table[i] = x * mark
	}
	return p
}

func lowerPickRows(lw *lowerer, n *node) bool {
	p := n.spec.(*pickedRows)
	src, dst, count := lw.use(n.in[0], rowMajor), lw.make(n.out[0], rowMajor), n.in[0].elems()
	parts := lw.partsFor(float64(n.out[0].elems())*functionNanos, count)
	lw.emit(&step{node: n, kernel: "pick rows", parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		from, to := count*part/parts, count*(part+1)/parts
		if x := f.vals[src.id]; x.DType == tensor.Int32 {
			pickRows(p, f.f32(dst), tensor.Of[int32](x), from, to)
		} else {
			pickRows(p, f.f32(dst), tensor.Of[int64](x), from, to)
		}
		return nil
	}})
	return true
}

// pickRows makes the rows from to to-1. What is outside the matrix picks the last one.
func pickRows[T int32 | int64](p *pickedRows, dst []float32, at []T, from, to int) {
	for i := from; i < to; i++ {
		k := int64(at[i])
		if k < 0 {
			k += int64(p.depth)
		}
		if k < 0 || k >= int64(p.depth) {
			k = int64(p.depth)
		}
		copy(dst[i*p.cols:][:p.cols], p.table[int(k)*p.cols:])
	}
}
