package repair

import (
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A taper makes a tape from nodes.
type taper struct {
	*tape
	g      *graph.Graph
	x      *graph.Index
	fences map[string]*plan.Value // values that flow in few bits
	cellOf map[string]int
	knobOf map[string]int // by constant
	start  int            // the cell of the first value, rounded
	out    string         // the value that is not rounded: the result of all

	// Of tapes that inputs are fitted on:
	facts   op.Facts // of all values
	opsets  []graph.Opset
	spatial bool // channels lie along axis 1
}

// tapers says for each operator how to put it on a tape. A row returns false for what it cannot.
var tapers map[string]func(b *taper, n *graph.Node) bool

func init() {
	tapers = map[string]func(b *taper, n *graph.Node) bool{
		"Conv": putLayer, "Gemm": putLayer, "MatMul": putLayer,
		"Relu": putClamp, "Clip": putClamp, "Sigmoid": putSigmoid,
		"Add": putAdd, "Mul": putMul, "Concat": putConcat,
		"GlobalAveragePool": putMean, "AveragePool": putPool, "MaxPool": putPool,
		"Identity": putSame, "Dropout": putSame, "Flatten": putFlat, "Reshape": putFlat, "Squeeze": putFlat,
	}
}

// fencesOf lists the values of a graph that a plan lets flow in few bits, by their names.
func fencesOf(g *graph.Graph, p *plan.Plan) map[string]*plan.Value {
	all := map[string]*plan.Value{}
	if p.Mode != plan.Static {
		return all
	}
	byAs := map[string]*plan.Value{}
	for _, v := range p.Values {
		byAs[v.As] = v
	}
	rows := map[string]*plan.Node{}
	for _, n := range p.Nodes {
		rows[n.Name] = n
	}
	for _, n := range g.Nodes {
		r := rows[plan.NodeName(n)]
		if r == nil {
			continue
		}
		for i, as := range r.Inputs {
			if v := byAs[as]; as != "" && i < len(n.In) && v != nil && v.Role == plan.RoleActivation {
				all[n.In[i]] = v
			}
		}
		for _, o := range n.Out {
			if v := byAs[o]; r.Quantized && v != nil && v.Role == plan.RoleActivation {
				all[o] = v
			}
		}
	}
	return all
}

// newTape puts a section on a tape, for inputs of a shape; nil where something in it has no gradient.
func newTape(level kernel.Level, b *section, g *graph.Graph, x *graph.Index, fences map[string]*plan.Value, shape []int, coded bool) *taper {
	t := &taper{tape: &tape{level: level}, g: g, x: x, fences: fences, cellOf: map[string]int{}, knobOf: map[string]int{}, out: b.out}
	c, ok := cellFor(shape, b.spatial())
	if !ok {
		return nil
	}
	t.in = t.add(b.in, c)
	if v := fences[b.in]; v != nil && !coded {
		if !t.fence(b.in, t.in, math.Inf(-1), math.Inf(1)) {
			return nil
		}
	}
	t.start = t.cellOf[b.in]
	shapes := shapeNodes(g, b.nodes)
	for _, n := range b.nodes {
		if shapes[n] {
			continue
		}
		put := tapers[op.QualifiedName(n)]
		if put == nil || !put(t, n) {
			return nil
		}
	}
	t.tape.out, ok = t.cellOf[b.out]
	if !ok {
		return nil
	}
	return t
}

// shapeNodes finds the nodes that compute with shapes alone: what they make does not depend on what a
// sample holds.
func shapeNodes(g *graph.Graph, nodes []*graph.Node) map[*graph.Node]bool {
	all, made := map[*graph.Node]bool{}, map[string]bool{}
	for _, n := range nodes {
		o := op.Lookup(n.Domain, n.Op)
		if o == nil || len(n.In) == 0 {
			continue
		}
		if o.Quant.ShapeOnly || !slices.ContainsFunc(append(n.Captures(), n.In...), func(name string) bool { return name != "" && !made[name] && g.Const(name) == nil }) {
			all[n] = true
			for _, out := range n.Out {
				made[out] = true
			}
		}
	}
	return all
}

// cellFor is the cell of a tensor of one sample: channels along axis 1 of images, else along the last.
func cellFor(shape []int, spatial bool) (cell, bool) {
	n := len(shape)
	switch {
	case n == 0 || slices.Contains(shape, 0):
		return cell{}, false
	case !spatial || n == 2:
		c := shape[n-1]
		return cell{c: c, h: tensor.Elements(shape) / c, w: 1, last: true}, true
	case n == 3 && shape[0] == 1:
		return cell{c: shape[1], h: 1, w: shape[2]}, true
	case n == 4 && shape[0] == 1:
		return cell{c: shape[1], h: shape[2], w: shape[3]}, true
	}
	return cell{}, false
}

// add makes a cell for a value.
func (b *taper) add(name string, c cell) int {
	b.cells = append(b.cells, c)
	b.cellOf[name] = len(b.cells) - 1
	return len(b.cells) - 1
}

// put adds a step that makes a value in a new cell, and rounds it where it flows in few bits.
func (b *taper) put(name string, c cell, step func(to int) step) bool {
	to := b.add(name, c)
	b.steps = append(b.steps, step(to))
	if u := b.x.OnlyUse(name); u != nil && (u.Op == "Relu" || u.Op == "Clip") {
		return true
	}
	return b.fence(name, to, math.Inf(-1), math.Inf(1))
}

// fence adds a step that clamps a value and rounds it where it flows in few bits.
func (b *taper) fence(name string, from int, lo, hi float64) bool {
	f := &fence{from: from, lo: float32(lo), hi: float32(hi)}
	if v := b.fences[name]; v != nil && name != b.out {
		if len(v.Params) != 1 {
			return false
		}
		f.format, f.params = format.Lookup(v.Format), v.Params[0]
	} else if math.IsInf(lo, -1) && math.IsInf(hi, 1) {
		return true
	}
	f.to = b.add(name, b.cells[from])
	b.steps = append(b.steps, f)
	return true
}

// operand returns the cell of an operand.
func (b *taper) operand(n *graph.Node, i int) (at int, c cell, ok bool) {
	if i >= len(n.In) {
		return 0, cell{}, false
	}
	if at, ok = b.cellOf[n.In[i]]; ok {
		c = b.cells[at]
	}
	return at, c, ok
}

// constant returns a float constant.
func (b *taper) constant(name string) []float32 {
	if t := b.g.ConstTensor(name); t != nil && t.DType == tensor.Float32 {
		return tensor.Of[float32](t)
	}
	return nil
}

// knob makes a copy of a constant that may be learnt. Where none is, it is the constant itself.
func (b *taper) knob(name string) int {
	if k, ok := b.knobOf[name]; ok {
		return k
	}
	k := &knob{x: b.constant(name)}
	if !b.fixed {
		k.x = slices.Clone(k.x)
	}
	b.knobs = append(b.knobs, k)
	b.knobOf[name] = len(b.knobs) - 1
	return b.knobOf[name]
}

func putLayer(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	w := b.g.ConstTensor(n.In[1])
	if !ok || w == nil || w.DType != tensor.Float32 || n.Float("alpha", 1) != 1 || n.Float("beta", 1) != 1 {
		return false
	}
	s := &affine{from: from, bias: -1, first: from == b.start && !b.fixed, taps: 1}
	if s.win, ok = windowOf(n, w); !ok {
		return false
	}
	out := cell{c: s.win.groups * s.win.rows, h: c.h, w: c.w, last: c.last}
	if s.kc = s.win.k; s.win.matrix {
		if !c.last || c.c != s.win.k {
			return false
		}
	} else if !s.window(c, &out) {
		return false
	}
	if len(n.In) > 2 && n.In[2] != "" {
		if bias := b.constant(n.In[2]); len(bias) != out.c {
			return false
		}
		s.bias = b.knob(n.In[2])
	}
	s.weight = b.knob(n.In[1])
	k := b.knobs[s.weight]
	if k.changed != nil { // two layers share it
		return false
	}
	k.changed = func() { s.pack(b.level, k.x) }
	k.changed()
	return b.put(n.Out[0], out, func(to int) step { s.to = to; return s })
}

// window finds how a convolution sees its input, and the size of its result.
func (s *affine) window(c cell, out *cell) bool {
	v := &s.win
	if c.last || len(v.kernel) > 2 {
		return false
	}
	s.taps = tensor.Elements(v.kernel)
	s.kc = v.k / s.taps
	if c.c != v.groups*s.kc {
		return false
	}
	shape := []int{1, c.c, c.h, c.w}
	if len(v.kernel) == 1 {
		shape = []int{1, c.c, c.w}
	}
	size := v.output(shape)
	out.h, out.w = 1, size[len(size)-1]
	if len(size) == 2 {
		out.h = size[0]
	}
	if out.pixels() == 0 {
		return false
	}
	s.deep = s.kc == 1 && v.rows == 1 && v.groups > 1
	if s.deep || s.taps > 1 || out.pixels() != c.pixels() || slices.ContainsFunc(v.pads, func(p int) bool { return p != 0 }) {
		s.geometry(c, *out)
	}
	return true
}

func putClamp(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	l := &layer{lo: math.Inf(-1), hi: math.Inf(1)}
	if !ok || !l.narrow(b.g, n) {
		return false
	}
	if b.fences[n.Out[0]] == nil && math.IsInf(l.lo, -1) && math.IsInf(l.hi, 1) {
		return b.put(n.Out[0], c, func(to int) step { return &same{from, to} })
	}
	return b.fence(n.Out[0], from, l.lo, l.hi)
}

func putSigmoid(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	return ok && b.put(n.Out[0], c, func(to int) step { return &logistic{from, to} })
}

func putSame(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	return ok && b.put(n.Out[0], c, func(to int) step { return &same{from, to} })
}

func putAdd(b *taper, n *graph.Node) bool {
	for i := range 2 {
		by := b.constant(n.In[i])
		from, c, ok := b.operand(n, 1-i)
		if ok && by != nil && len(by) == c.c && (c.last || c.pixels() > 1) && alongChannel(b.g.ConstTensor(n.In[i]).Shape, c) {
			return b.put(n.Out[0], c, func(to int) step { return &offset{from, to, by} })
		}
	}
	return b.pair(n, func(a, c, to int) step { return &sum{a, c, to} })
}

// alongChannel says whether the elements of a constant run along a cell's channels.
func alongChannel(shape []int, c cell) bool {
	if c.last {
		return len(shape) > 0 && shape[len(shape)-1] == c.c
	}
	back := 2
	if c.h == 1 {
		back = 1
	}
	return len(shape) > back && shape[len(shape)-1-back] == c.c
}

func putMul(b *taper, n *graph.Node) bool {
	return b.pair(n, func(a, c, to int) step { return &prod{a, c, to} })
}

// pair puts an operator of two values of one shape.
func (b *taper) pair(n *graph.Node, of func(x, y, to int) step) bool {
	x, c, ok := b.operand(n, 0)
	y, c2, ok2 := b.operand(n, 1)
	return ok && ok2 && c == c2 && len(n.In) == 2 && b.put(n.Out[0], c, func(to int) step { return of(x, y, to) })
}

func putConcat(b *taper, n *graph.Node) bool {
	s := &join{}
	var all cell
	for i := range n.In {
		from, c, ok := b.operand(n, i)
		if !ok || c.last || n.Int("axis", 0) != 1 || i > 0 && (c.h != all.h || c.w != all.w) {
			return false
		}
		c.c += all.c
		all = c
		s.from = append(s.from, from)
	}
	return b.put(n.Out[0], all, func(to int) step { s.to = to; return s })
}

func putMean(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	return ok && !c.last && b.put(n.Out[0], cell{c: c.c, h: 1, w: 1}, func(to int) step { return &mean{from, to} })
}

// putFlat puts what leaves the channels of single pixels as they are.
func putFlat(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	if !ok || c.pixels() != 1 || n.Op == "Flatten" && n.Int("axis", 1) != 1 {
		return false
	}
	c.last = true
	return b.put(n.Out[0], c, func(to int) step { return &same{from, to} })
}

func putPool(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	kernel := n.Ints("kernel_shape")
	if !ok || c.last || len(n.Out) > 1 && n.Out[1] != "" || n.Int("ceil_mode", 0) != 0 || n.Str("auto_pad", "NOTSET") != "NOTSET" || len(kernel) != 2 {
		return false
	}
	v := window{kernel: kernel, strides: ones(n.Ints("strides"), 2), dils: ones(n.Ints("dilations"), 2), pads: n.Ints("pads")}
	if v.pads == nil {
		v.pads = make([]int, 4)
	}
	size := v.output([]int{1, c.c, c.h, c.w})
	s := &pool{from: from, mean: n.Op == "AveragePool"}
	in, start := []int{c.h, c.w}, make([]int, 2)
	for p := range size[0] * size[1] {
		start[0], start[1] = p/size[1]*v.strides[0]-v.pads[0], p%size[1]*v.strides[1]-v.pads[1]
		var taps []int32
		for t := range kernel[0] * kernel[1] {
			if off, ok := v.tap(t, start, in); ok {
				taps = append(taps, int32(off))
			}
		}
		over := len(taps)
		if n.Int("count_include_pad", 0) != 0 {
			over = kernel[0] * kernel[1]
		}
		if over == 0 {
			return false
		}
		s.taps, s.over = append(s.taps, taps), append(s.over, float32(over))
	}
	return b.put(n.Out[0], cell{c: c.c, h: size[0], w: size[1]}, func(to int) step { s.to = to; return s })
}
