package engine

import (
	"errors"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A lowering turns a node of known shapes into steps. It returns false, having emitted nothing,
// where it has no fast path for the case at hand.
type lowering func(lw *lowerer, n *node) bool

// A lowerer collects the steps and slots of a program.
type lowerer struct {
	net     *net
	level   kernel.Level
	threads int
	seed    uint64
	memory  int64 // most bytes of values
	weights int   // bytes of those of the model
	packs   *packCache
	crew    *crew // to pack weights with; nil: one thread

	anyOrder bool // of the elements of watched values
	direct   bool // float convolutions by their sums

	slots []*slot
	steps []*step
	forms map[*value]*[numLayouts]*slot

	parts  map[*value]pixels            // values that are channels of wider ones, until somebody wants them alone
	placed map[*value]placement         // values that are written to their place in a concatenation
	taps   map[tapsKey]*kernel.Indirect // of convolutions, by their geometry
	packed int                          // places for weights that are packed in each run
}

// lower compiles the network into a program.
func (lw *lowerer) lower() (*program, error) {
	lw.forms = map[*value]*[numLayouts]*slot{}
	p := &program{}
	for _, v := range lw.net.in {
		s := lw.newSlot(v, rowMajor, inInput)
		lw.setForm(v, rowMajor, s)
		p.inputs = append(p.inputs, port{name: v.name, slot: s})
	}
	if err := lw.packAll(); err != nil {
		return nil, err
	}
	lw.watchEarly()
	lw.placeConcats()
	for _, n := range lw.net.nodes {
		if err := lw.node(n); err != nil {
			return nil, err
		}
		for _, v := range n.out {
			if lw.parts[v].slot == nil {
				delete(lw.placed, v) // it was not written there
			}
			if v != nil && v.konst == nil && slices.Contains(lw.net.watch, v) { // constants were shown early
				lw.watch(v)
			}
		}
	}
	for _, v := range lw.net.out {
		p.outputs = append(p.outputs, lw.output(v))
	}
	p.slots, p.steps, p.packed = lw.slots, lw.steps, lw.packed
	lw.live(p)
	p.arena = planArena(p.slots)
	return p, nil
}

// node lowers one node: by the first lowering of its kind that takes it, else by reference.
func (lw *lowerer) node(n *node) error {
	if n.static() || controls[n.kind] {
		for _, f := range lowerings[n.kind] {
			if f(lw, n) {
				return nil
			}
		}
	}
	return lw.eval(n)
}

// newSlot adds a slot that holds v in a layout.
func (lw *lowerer) newSlot(v *value, l layout, p place) *slot {
	s := &slot{id: len(lw.slots), dtype: v.dtype, place: p, name: v.name, first: -1}
	if v.known {
		s.shape = l.physical(v.shape)
		s.bytes = v.dtype.ByteLen(v.elems())
	}
	s.root = s
	lw.slots = append(lw.slots, s)
	return s
}

func (lw *lowerer) setForm(v *value, l layout, s *slot) {
	if lw.forms[v] == nil {
		lw.forms[v] = &[numLayouts]*slot{}
	}
	lw.forms[v][l] = s
}

// make returns a new slot for a result.
func (lw *lowerer) make(v *value, l layout) *slot {
	s := lw.newSlot(v, l, inArena)
	lw.setForm(v, l, s)
	return s
}

// scratch returns a slot of n elements that belongs to no value.
func (lw *lowerer) scratch(d tensor.DType, n int) *slot {
	s := &slot{id: len(lw.slots), dtype: d, shape: []int{n}, bytes: d.ByteLen(n), place: inArena, name: "scratch", first: -1}
	s.root = s
	lw.slots = append(lw.slots, s)
	return s
}

// view makes v, in a layout, share the memory of a slot.
func (lw *lowerer) view(v *value, l layout, of *slot) *slot {
	s := lw.newSlot(v, l, of.root.place)
	if of.root.place == inConst {
		s.konst = of.konst.Reshape(s.shape...)
	} else {
		s.root = of.root
		of.root.views = append(of.root.views, s)
	}
	lw.setForm(v, l, s)
	return s
}

// natural returns the layout in which v lies in memory already; constants and neutral shapes have none.
func (lw *lowerer) natural(v *value) (layout, bool) {
	if v == nil || v.konst != nil || !v.known || neutral(v.shape) {
		return rowMajor, false
	}
	if _, ok := lw.parts[v]; ok {
		return channelsLast, true
	}
	if f := lw.forms[v]; f != nil && f[channelsLast] != nil {
		return channelsLast, true
	}
	return rowMajor, true
}

// follow returns the layout that costs the fewest transpositions for operands that must agree.
func (lw *lowerer) follow(in ...*value) layout {
	best := rowMajor
	for _, v := range in {
		if l, ok := lw.natural(v); ok && l == channelsLast {
			best = channelsLast
		}
	}
	return best
}

// use returns v in the wanted layout, converting it where it must be.
func (lw *lowerer) use(v *value, l layout) *slot {
	f := lw.forms[v]
	if _, ok := lw.parts[v]; ok && (f == nil || f[channelsLast] == nil) {
		lw.gather(v)
		return lw.use(v, l)
	}
	if f != nil && f[l] != nil {
		return f[l]
	}
	if v.konst != nil {
		return lw.useConst(v, l)
	}
	have := f[1-l]
	if neutral(v.shape) {
		return lw.view(v, l, have)
	}
	s := lw.make(v, l)
	lw.emitRelayout(v, have, s, l)
	return s
}

// mostAligned is up to how many bytes a constant of a file is copied where it lies so that each view of it would be a copy.
const mostAligned = 1 << 20

func (lw *lowerer) useConst(v *value, l layout) *slot {
	s := lw.newSlot(v, l, inConst)
	if s.konst = v.konst; l == channelsLast {
		s.konst = toChannelsLast(lw.level, v.konst)
	} else if s.bytes <= mostAligned {
		s.konst = v.konst.Align()
	}
	lw.setForm(v, l, s)
	return s
}

// emit adds a step. A step without parts has one.
func (lw *lowerer) emit(s *step) {
	s.parts = max(s.parts, 1)
	lw.steps = append(lw.steps, s)
}

const (
	partNanos   = 2.5e3 // the least work that pays another part
	partsApiece = 2     // parts for each thread, so that a thread that lags behind takes fewer
)

// partsFor returns into how many parts to cut work of some nanoseconds, at most limit.
func (lw *lowerer) partsFor(nanos float64, limit int) int {
	if lw.threads == 1 {
		return 1
	}
	return max(1, min(int(nanos/partNanos), lw.threads*partsApiece, limit))
}

// output decides where a result of the graph lies.
func (lw *lowerer) output(v *value) port {
	s := lw.use(v, rowMajor)
	p := port{name: v.name, slot: s}
	if s.root.place == inArena {
		s.root.place = inOutput
	} else {
		p.fresh = s != s.root || !s.owned
	}
	return p
}

// live finds out between which steps each root is in use.
func (lw *lowerer) live(p *program) {
	for i, st := range p.steps {
		for _, s := range slices.Concat(st.in, st.out) {
			if s.root.first < 0 {
				s.root.first = i
			}
			s.root.last = i
		}
	}
	for _, q := range p.outputs {
		q.slot.root.last = len(p.steps)
	}
	for i := len(p.slots) - 1; i >= 0; i-- {
		for _, d := range p.slots[i].deps {
			d.root.last = max(d.root.last, p.slots[i].last)
		}
	}
	for i, st := range p.steps {
		if st.over != nil && st.replaces(i) {
			st.out[0].takeOver(st.over.root)
		}
	}
}

// replaces says whether the result of step i can take the memory of the operand that it may replace: where
// nothing else reads this.
func (s *step) replaces(i int) bool {
	x, y := s.over.root, s.out[0]
	readers := 0
	for _, o := range s.in {
		if o.root == x {
			readers++
		}
	}
	return readers == 1 && x != y && y.root == y && x.place == inArena && y.place == inArena && x.last == i && y.first == i && x.bytes == y.bytes
}

// takeOver makes s and its views share the memory of x.
func (s *slot) takeOver(x *slot) {
	for _, v := range append(s.views, s) {
		v.root = x
		x.views = append(x.views, v)
	}
	x.last, s.views = s.last, nil
}

// errDeclared says that the file declares what does not hold. Such a model is left to the reference
// evaluation, which believes no declaration.
var errDeclared = errors.New("the declared types contradict each other")

// eval emits the reference evaluation of n.
func (lw *lowerer) eval(n *node) error {
	e, err := lw.net.evaluator(n, lw.seed)
	if err != nil {
		return err
	}
	st := &step{node: n, kernel: "reference"}
	in := make([]*slot, len(n.in))
	for i, v := range n.in {
		if v != nil {
			in[i] = lw.use(v, rowMajor)
			st.in = append(st.in, in[i])
		}
	}
	out := lw.heapOut(n, st)
	for _, s := range st.out {
		s.deps = st.in
	}
	st.run = func(f *frame, _ int) error {
		args := make([]*tensor.Tensor, len(in))
		for i, s := range in {
			if s != nil {
				args[i] = f.vals[s.id]
			}
		}
		res, err := e.run(f.ctx, args)
		for i, s := range out {
			if s == nil || err != nil {
				continue
			}
			if v := n.out[i]; v.known && !sameShape(res[i].Shape, v.shape) || lw.net.open && !v.typ.Accepts(graph.TypeOf(res[i])) {
				return errDeclared
			}
			f.bind(s, res[i])
		}
		return err
	}
	lw.emit(st)
	return nil
}

// watchEarly shows watched values that exist before the first node.
func (lw *lowerer) watchEarly() {
	for _, v := range lw.net.watch {
		if v.konst != nil || v.def == nil {
			lw.watch(v)
		}
	}
}

// watch emits a step that shows v.
func (lw *lowerer) watch(v *value) {
	l := rowMajor
	if lw.anyOrder {
		l, _ = lw.natural(v)
	}
	s := lw.use(v, l)
	lw.emit(&step{kernel: "watch", in: []*slot{s}, run: func(f *frame, _ int) error {
		if f.watch == nil {
			return nil
		}
		t := f.vals[s.id]
		if l == channelsLast {
			t = t.Reshape(v.shape[0]*tensor.Elements(v.shape[2:]), v.shape[1])
		}
		f.watch(v.name, t)
		return nil
	}})
}
