package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// reductions lists the reductions of floats.
var reductions = map[string]reduction{
	"ReduceMean": {by: fold{rows: kernel.ReduceSum, pair: kernel.Add}, mean: true},
	"ReduceSum":  {by: fold{rows: kernel.ReduceSum, pair: kernel.Add}},
	"ReduceMax":  {by: fold{rows: kernel.ReduceMax, pair: kernel.Max}},
	"ReduceMin":  {by: fold{rows: kernel.ReduceMin, pair: kernel.Min}},
	"ReduceProd": {by: productOf{}},

	"ReduceL1":        {by: fold{kernel.ReduceL1, kernel.Add, []kernel.Unary{kernel.Abs}}, again: "ReduceSum"},
	"ReduceL2":        {by: squares, again: "ReduceSum", last: []kernel.Unary{kernel.Sqrt}},
	"ReduceSumSquare": {by: squares, again: "ReduceSum"},
	"ReduceLogSum":    {by: fold{rows: kernel.ReduceSum, pair: kernel.Add}, last: []kernel.Unary{kernel.Log}},
	"ReduceLogSumExp": {by: logSumExp{}},
}

var squares = fold{kernel.ReduceSumSquare, kernel.Add, []kernel.Unary{kernel.Square}}

type reduction struct {
	by    reducer
	again string // the reduction that results of this one are reduced by; the same where empty
	mean  bool
	last  []kernel.Unary // of what that gives
}

// A reducer makes one number of many.
type reducer interface {
	// reduceRows folds each of len(dst) rows of equal length.
	reduceRows(l kernel.Level, dst, x []float32)
	// reduceColumns folds rows of len(dst) elements, pitch apart, to one; room has reduceRoom elements.
	reduceColumns(l kernel.Level, dst, x []float32, rows, pitch int, room []float32)
}

const (
	reduceColumns = 4096 // that are folded at a time at most
	leastColumns  = 1024 // where threads share them, or each is read again
	reduceRoom    = 3 * reduceColumns
)

// lowerReduce emits a reduction over neighbouring dimensions, or over one group of such after the other.
func lowerReduce(lw *lowerer, n *node) bool {
	x := n.in[0]
	if !x.is(tensor.Float32) || x.elems() == 0 {
		return false
	}
	gone, ok := reducedAxes(n, len(x.shape))
	if ok {
		lw.reduceF32(n, reductions[n.kind], gone)
	}
	return ok
}

// reduceF32 emits a reduction of the dimensions that go, in the layout in which that is one step if there is one.
func (lw *lowerer) reduceF32(n *node, r reduction, gone []bool) {
	x := n.in[0]
	first, _ := lw.natural(x)
	for _, l := range []layout{first, 1 - first} {
		to, ok := reducedLayout(l, n.out[0].shape, gone)
		if stages := reduceStages(l, x.shape, gone); ok && len(stages) == 1 {
			lw.emitReduce(n, r, lw.use(x, l), lw.make(n.out[0], to), stages)
			return
		}
	}
	lw.emitReduce(n, r, lw.use(x, rowMajor), lw.make(n.out[0], rowMajor), reduceStages(rowMajor, x.shape, gone))
}

// reducedLayout returns the layout that is left of l. Of (N, …, C) without some dimension only (N, C), or
// what has lost the channels, is in an order that has a name.
func reducedLayout(l layout, y []int, gone []bool) (layout, bool) {
	if len(y) == len(gone) || l == rowMajor {
		return l, true
	}
	return rowMajor, gone[1] || !gone[0] && len(y) <= 2
}

// emitReduce adds the steps of a reduction.
func (lw *lowerer) emitReduce(n *node, r reduction, src, dst *slot, stages []reduceStage) {
	size := 1
	for i, s := range stages {
		size *= s.mid
		to := dst
		if i < len(stages)-1 {
			to = lw.scratch(tensor.Float32, s.outer*s.inner)
		}
		finish := func(kernel.Level, []float32) {}
		if i == len(stages)-1 {
			finish = func(l kernel.Level, y []float32) { r.finish(l, y, size) }
		}
		by := r.by
		if i > 0 && r.again != "" {
			by = reductions[r.again].by
		}
		lw.emitReduceStage(n, by, src, to, s, finish)
		src = to
	}
}

// finish makes results of what size elements each were reduced to.
func (r reduction) finish(l kernel.Level, y []float32, size int) {
	if r.mean {
		l.BinaryScalar(kernel.Div, y, y, float32(size))
	}
	for _, u := range r.last {
		l.Unary(u, y, y)
	}
}

// emitReduceStage adds the step that reduces the middle one of three dimensions.
func (lw *lowerer) emitReduceStage(n *node, by reducer, src, dst *slot, s reduceStage, finish func(l kernel.Level, y []float32)) {
	work := float64(s.outer*s.mid*s.inner) * functionNanos
	s.wide = min(reduceColumns, max(leastColumns, s.outer*s.inner/lw.partsFor(work, s.outer*s.inner)))
	level, units := lw.level, s.outer*s.blocks()
	parts := lw.partsFor(work, units)
	out, room := []*slot{dst}, dst
	if s.inner > 1 {
		room = lw.scratch(tensor.Float32, parts*reduceRoom)
		out = append(out, room)
	}
	lw.emit(&step{node: n, kernel: "f32 " + n.kind, parts: parts, in: []*slot{src}, out: out, run: func(f *frame, part int) error {
		a, b := units*part/parts, units*(part+1)/parts
		y, x := f.f32(dst), f.f32(src)
		if s.inner == 1 {
			by.reduceRows(level, y[a:b], x[a*s.mid:b*s.mid])
		} else {
			for u := a; u < b; u++ {
				at, in := s.columns(u)
				by.reduceColumns(level, y[at:][:s.width(u)], x[in:], s.mid, s.inner, f.f32(room)[part*reduceRoom:][:reduceRoom])
			}
		}
		from, _ := s.columns(a)
		to, _ := s.columns(b)
		finish(level, y[from:to])
		return nil
	}})
}

// reducedAxes says for each dimension whether it is reduced.
func reducedAxes(n *node, rank int) ([]bool, bool) {
	gone := make([]bool, rank)
	axes := n.onnx.Ints("axes")
	if v := n.input(1); v != nil {
		var ok bool
		if axes, ok = intsOf(v); !ok {
			return nil, false
		}
	}
	if len(axes) == 0 {
		if n.onnx.Bool("noop_with_empty_axes", false) {
			return nil, false
		}
		for i := range gone {
			gone[i] = true
		}
	}
	for _, a := range axes {
		if a < 0 {
			a += rank
		}
		gone[a] = true
	}
	return gone, true
}

// A reduceStage reduces the middle one of the three dimensions into which memory falls.
type reduceStage struct {
	outer, mid, inner int
	wide              int // columns of a block
}

// blocks is how many blocks of columns each of the outer matrices is cut into. They are numbered through all matrices.
func (s reduceStage) blocks() int { return (s.inner + s.wide - 1) / s.wide }

// columns returns where the results and the operands of a block begin.
func (s reduceStage) columns(block int) (result, operand int) {
	k := s.blocks()
	o, c := block/k*s.inner, block%k*s.wide
	return o + c, o*s.mid + c
}

// width is how many columns a block has.
func (s reduceStage) width(block int) int {
	return min(s.wide, s.inner-block%s.blocks()*s.wide)
}

// reduceStages says how memory falls into dimensions before, among and behind the reduced ones: for each group of these
// that are neighbours, the last one first.
func reduceStages(l layout, shape []int, gone []bool) []reduceStage {
	var stages []reduceStage
	s, all := reduceStage{1, 1, 1, leastColumns}, tensor.Elements(shape)
	physical := l.physical(shape)
	for p := len(physical) - 1; p >= 0; p-- {
		d := physical[p]
		switch {
		case d == 1:
			continue
		case gone[l.logical(p, len(shape))]:
			s.mid *= d
			continue
		case s.mid > 1:
			s.outer = all / s.mid / s.inner
			stages, all = append(stages, s), all/s.mid
			s.mid = 1
		}
		s.inner *= d
	}
	if s.mid > 1 || len(stages) == 0 {
		s.outer = all / s.mid / s.inner
		stages = append(stages, s)
	}
	return stages
}
