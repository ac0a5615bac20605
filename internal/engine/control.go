package engine

import (
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A body is a subgraph compiled as a model of its own: what it reads from the graphs around it are
// inputs, or constants where they are constant.
type body struct {
	session *Session
	formal  []*graph.Value // its own inputs
	free    []*graph.Value // what it reads from outside and is not constant
	from    []*slot        // where the free ones are
	out     []string
}

// body prepares the subgraph of a node that an attribute holds, and adds what it reads to st.
func (lw *lowerer) body(n *node, attr string, st *step) (*body, bool) {
	g := n.onnx.Graph(attr)
	if g == nil {
		return nil, false
	}
	c := g.Without()
	b := &body{formal: g.In, out: valueNames(g.Out)}
	if n.kind == "If" {
		b.formal = nil // it feeds nothing
	}
	c.In = slices.Clone(b.formal)
	reads := map[string]*value{}
	for i, v := range n.in[n.formal:] {
		reads[n.names[n.formal+i]] = v
	}
	for _, name := range n.onnx.Free(g) {
		v := reads[name]
		if v == nil {
			return nil, false
		}
		if v.konst != nil {
			c.SetConst(name, v.konst)
			continue
		}
		s := lw.use(v, rowMajor)
		b.free, b.from = append(b.free, &graph.Value{Name: name, Type: v.typ}), append(b.from, s)
		st.in = append(st.in, s)
	}
	c.In = append(c.In, b.free...)
	m := &graph.Model{IR: lw.net.model.IR, Opsets: lw.net.model.Opsets, Functions: lw.net.model.Functions, Graph: c}
	b.session = &Session{model: m, opt: Options{Threads: lw.threads, Seed: lw.seed, MaxMemory: lw.memory}, level: lw.level, nesting: lw.net.nesting}
	return b, true
}

// run evaluates the body; args are the values of its own inputs.
func (b *body) run(f *frame, args []*tensor.Tensor) ([]*tensor.Tensor, error) {
	in := make(map[string]*tensor.Tensor, len(args)+len(b.free))
	types := make(map[string]graph.Type, len(args)+len(b.free))
	for i, v := range b.free {
		t := f.vals[b.from[i].id]
		in[v.Name], types[v.Name] = t, typeFor(v, t)
	}
	for i, v := range b.formal {
		in[v.Name], types[v.Name] = args[i], typeFor(v, args[i])
	}
	res, err := b.session.evaluate(f.ctx, in, types, nil, f.crew, nil)
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, len(b.out))
	for i, name := range b.out {
		out[i] = res[name]
	}
	return out, nil
}

// heapOut makes the slots of results whose tensors the step itself makes.
func (lw *lowerer) heapOut(n *node, st *step) []*slot {
	out := make([]*slot, len(n.out))
	for i, v := range n.out {
		if v != nil {
			out[i] = lw.newSlot(v, rowMajor, inHeap)
			lw.setForm(v, rowMajor, out[i])
			st.out = append(st.out, out[i])
		}
	}
	return out
}

// lowerIf emits a choice between two compiled branches.
func lowerIf(lw *lowerer, n *node) bool {
	cond := lw.use(n.in[0], rowMajor)
	st := &step{node: n, kernel: "if", in: []*slot{cond}}
	then, ok1 := lw.body(n, "then_branch", st)
	other, ok2 := lw.body(n, "else_branch", st)
	if !ok1 || !ok2 {
		return false
	}
	out := lw.heapOut(n, st)
	st.run = func(f *frame, _ int) error {
		c := f.vals[cond.id]
		if c.DType != tensor.Bool || c.Len() != 1 {
			return fault.Invalidf(n.onnx.Label(), "the condition is %s, not one bool", c)
		}
		branch := other
		if tensor.Of[bool](c)[0] {
			branch = then
		}
		res, err := branch.run(f, nil)
		if err != nil {
			return fault.At(n.onnx.Label(), err)
		}
		for i, s := range out {
			if s != nil {
				f.bind(s, res[i])
			}
		}
		return nil
	}
	lw.emit(st)
	return true
}

// lowerLoop emits a loop over a compiled body.
func lowerLoop(lw *lowerer, n *node) bool {
	st := &step{node: n, kernel: "loop"}
	b, ok := lw.body(n, "body", st)
	if !ok || len(b.formal) != n.formal || len(b.out) < n.formal-1 {
		return false
	}
	in := make([]*slot, n.formal)
	for i, v := range n.in[:n.formal] {
		if v != nil {
			in[i] = lw.use(v, rowMajor)
			st.in = append(st.in, in[i])
		}
	}
	out := lw.heapOut(n, st)
	st.run = func(f *frame, _ int) error {
		l := &loop{body: b, limit: -1, going: true}
		err := l.start(f, in)
		for i := 0; err == nil && l.going && (l.limit < 0 || i < l.limit); i++ {
			err = l.turn(f, i)
		}
		if err == nil {
			err = l.results(f, n, out)
		}
		return fault.At(n.onnx.Label(), err)
	}
	lw.emit(st)
	return true
}

// A loop is one run of a Loop node.
type loop struct {
	body    *body
	limit   int // most turns; negative: any number
	going   bool
	carried []*tensor.Tensor
	scanned [][]*tensor.Tensor // by scan output, by turn
}

func (l *loop) start(f *frame, in []*slot) error {
	if in[0] != nil {
		m, err := f.vals[in[0].id].Ints()
		if err != nil || len(m) != 1 {
			return fault.Invalidf("", "the trip count is %s, not one integer", f.vals[in[0].id])
		}
		l.limit = int(max(m[0], 0))
	}
	if in[1] != nil {
		c := f.vals[in[1].id]
		if c.DType != tensor.Bool || c.Len() != 1 {
			return fault.Invalidf("", "the condition is %s, not one bool", c)
		}
		l.going = tensor.Of[bool](c)[0]
	}
	for _, s := range in[2:] {
		l.carried = append(l.carried, f.vals[s.id].Clone())
	}
	l.scanned = make([][]*tensor.Tensor, len(l.body.out)-1-len(l.carried))
	return nil
}

func (l *loop) turn(f *frame, i int) error {
	if f.ctx.Err() != nil {
		return f.ctx.Err()
	}
	args := append([]*tensor.Tensor{tensor.Wrap(tensor.Int64, []int64{int64(i)}), tensor.Wrap(tensor.Bool, []bool{l.going})}, l.carried...)
	res, err := l.body.run(f, args)
	if err != nil {
		return err
	}
	if res[0].DType != tensor.Bool || res[0].Len() != 1 {
		return fault.Invalidf("", "the condition is %s, not one bool", res[0])
	}
	l.going = tensor.Of[bool](res[0])[0]
	l.carried = res[1 : 1+len(l.carried)]
	for k := range l.scanned {
		l.scanned[k] = append(l.scanned[k], res[1+len(l.carried)+k])
	}
	return nil
}

func (l *loop) results(f *frame, n *node, out []*slot) error {
	for i, s := range out {
		if s == nil {
			continue
		}
		if i < len(l.carried) {
			f.bind(s, l.carried[i])
			continue
		}
		t, err := stacked(l.scanned[i-len(l.carried)], n.out[i])
		if err != nil {
			return err
		}
		f.bind(s, t)
	}
	return nil
}

// stacked joins tensors of one shape along a new first dimension; v says what is known of none at all.
func stacked(list []*tensor.Tensor, v *value) (*tensor.Tensor, error) {
	if len(list) == 0 {
		shape := []int{0}
		for _, d := range v.typ.Shape[min(1, len(v.typ.Shape)):] {
			shape = append(shape, max(d.Size, 0))
		}
		return tensor.New(v.dtype, shape...), nil
	}
	first := list[0]
	out := tensor.New(first.DType, append([]int{len(list)}, first.Shape...)...)
	for i, t := range list {
		if t.DType != first.DType || !sameShape(t.Shape, first.Shape) || !movable(t.DType) {
			return nil, fault.Unsupportedf("", "turn %d gives %s after %s", i, t, first)
		}
		copy(out.Raw[i*len(first.Raw):], t.Raw)
	}
	return out, nil
}
