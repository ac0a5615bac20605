package engine

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// An attention is one run of softmax(scale·q·kᵀ + bias)·v, by heads, of which so many in a row share a key and a value.
// Its keys and values are those of the past and the new ones behind them, which lie in buffers that are results, or, where
// there is neither a past nor such a result, where they came from.
type attention struct {
	batch, heads, kv  int
	rows, size, vsize int // of queries; features of a query and a key; of a value
	q, k, v, y        headRows
	past, present     [2]headRows
	kept              tensor.DType // of the past and of what is kept of it: float32, or a 16-bit float
	pastHalf          [2][]uint16  // the past as such, laid out as past says
	keptHalf          [2][]uint16  // results beside the buffers
	counts            []int        // rows of the past that count, for each sample
	stored            bool         // there are buffers
	rotary            *rotary
	positions         func(n, row int) int
	bias              [3][]float32 // what is added to the features of query, key and value; nil: nothing
	scale, cap        float32
	total             int   // keys that the masks cover; later ones are shut out
	valid             []int // keys that count, for each sample
	offset            []int // the place among the keys of each sample's first query
	causal            bool  // a query sees no key behind its own place
	left, right       int   // how many keys before and behind its place it sees; -1: all
	masks             []scoreMask
	room              int       // rows of the buffers
	empty             float32   // the result of a query that no key is open to
	plain             bool      // written by plain operators, which have no result where a score is none
	sinks             []float32 // a score of each head that takes its share of the softmax and has no value; nil: none
}

// headRows are rows of heads in memory: those of head h of sample n begin at n*sample + h*head and are step apart.
type headRows struct {
	x                  []float32
	sample, head, step int
	rows               int
}

func (h *headRows) at(n, head, row int) []float32 {
	return h.x[h.from(n, head)+row*h.step:]
}

// from is where a head begins.
func (h *headRows) from(n, head int) int { return n*h.sample + head*h.head }

// inFront lays out (N,heads,rows,size).
func inFront(x []float32, shape []int) headRows {
	return headRows{x, shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], shape[2]}
}

// inRows lays out some heads of (N,rows,…), where each row holds width features and the first head begins at from.
func inRows(x []float32, rows, width, from, size int) headRows {
	if len(x) > 0 {
		x = x[from:]
	}
	return headRows{x, rows * width, size, width, rows}
}

// A scoreMask is added to the scores, or what else op says, or a number takes their place where places is as told; step are its
// strides along samples, heads, queries and keys.
type scoreMask struct {
	x      []float32
	op     kernel.Binary
	places []bool
	where  bool
	number float32
	step   [4]int
}

// An attentionReader reads the operands of a run of n; nil where they are not such as there are kernels for. The definition
// then computes the result, or says what is wrong with them.
type attentionReader func(n *node, in []*tensor.Tensor) *attention

var attentionReaders = map[string]attentionReader{
	"com.microsoft.GroupQueryAttention": readGroupAttention,
	"com.microsoft.MultiHeadAttention":  readMultiHead,
	"Attention":                         readAttention,
	"attention":                         readFound,
}

// lowerAttention emits an attention. What it reads of the past may have any length in each run.
func lowerAttention(lw *lowerer, n *node) bool {
	kept, ok := keptType(n)
	if !ok || !attends(n) || !n.in[0].is(tensor.Float32) || !n.out[0].is(tensor.Float32) {
		return false
	}
	found, _ := n.spec.(*foundAttention)
	var e *evaluator // there is none of what was found
	if found == nil {
		var err error
		if e, err = lw.net.evaluator(n, lw.seed); err != nil {
			return false
		}
	}
	dst := lw.make(n.out[0], rowMajor)
	a := &attentionStep{lowerer: lw, node: n, read: attentionReaders[n.kind], eval: e, kept: kept, dst: dst, slot: lw.newPacks(1), turned: found != nil && found.turn}
	for _, v := range n.in {
		var s *slot
		if v != nil {
			s = lw.use(v, rowMajor)
			a.from = append(a.from, s)
		}
		a.in = append(a.in, s)
	}
	for i := 1; i <= 2; i++ {
		a.present[i-1] = lw.owned(n.output(i))
	}
	a.emit()
	return true
}

// attends says whether n gives what the kernels compute, of a shape that is known.
func attends(n *node) bool {
	y := n.out[0]
	return y != nil && y.known && y.elems() > 0 && len(y.shape) >= 3 && n.output(3) == nil
}

// pastAt lists the first of the two operands of the past.
var pastAt = map[string]int{"com.microsoft.GroupQueryAttention": 3, "com.microsoft.MultiHeadAttention": 6, "Attention": 4, "attention": 3}

// keptBy lists the past and the keys and values that are results of an attention.
func keptBy(n *node) (list []*value) {
	at, ok := pastAt[n.kind]
	if !ok {
		return nil
	}
	for _, v := range []*value{n.input(at), n.input(at + 1), n.output(1), n.output(2)} {
		if v != nil {
			list = append(list, v)
		}
	}
	return list
}

// keptType is the type of all of them, which may be a 16-bit float, the only one among the floats that n reads.
func keptType(n *node) (d tensor.DType, ok bool) {
	kept := keptBy(n)
	d = tensor.Float32
	for i, v := range kept {
		if t := v.elemType(); i > 0 && t != d || t != tensor.Float32 && t != tensor.Float16 && t != tensor.BFloat16 {
			return d, false
		}
		d = v.elemType()
	}
	for _, v := range n.in {
		if v != nil && !slices.Contains(kept, v) && v.elemType().IsFloat() && v.elemType() != tensor.Float32 && v.elemType() != d {
			return d, false
		}
	}
	return d, true
}

// owned returns a slot whose tensor is made anew in each run and never touched after it; nil without a value.
func (lw *lowerer) owned(v *value) *slot {
	if v == nil {
		return nil
	}
	s := lw.newSlot(v, rowMajor, inHeap)
	s.owned = true
	lw.setForm(v, rowMajor, s)
	return s
}

// An attentionStep is what the two steps of an attention share.
type attentionStep struct {
	*lowerer
	node    *node
	read    attentionReader
	eval    *evaluator
	in      []*slot // nil where an operand is left out
	from    []*slot
	dst     *slot
	present [2]*slot
	kept    tensor.DType
	slot    int // where a frame keeps the *attentionRun
	parts   int
	turned  bool // the result is (N,rows,heads,size)
}

// An attentionRun is what a frame keeps of an attention.
type attentionRun struct {
	a       *attention // nil: the definition was asked
	rooms   []attentionRoom
	buffers [2][]float32 // of keys and values where those that are kept are 16-bit floats
}

func (s *attentionStep) emit() {
	s.parts = s.partsFor(math.MaxInt32, s.node.out[0].elems())
	out := []*slot{s.dst}
	for _, p := range s.present {
		if p != nil {
			out = append(out, p)
		}
	}
	s.lowerer.emit(&step{node: s.node, kernel: "attention operands", in: s.from, out: out, run: s.begin})
	s.lowerer.emit(&step{node: s.node, kernel: "f32 attention", parts: s.parts, in: append(s.from, out[1:]...), out: out, run: s.part})
}

// begin reads the operands and makes the buffers.
func (s *attentionStep) begin(f *frame, _ int) error {
	run, ok := f.packs[s.slot].(*attentionRun)
	if !ok {
		run = &attentionRun{rooms: make([]attentionRoom, s.parts)}
		f.packs[s.slot] = run
	}
	in := make([]*tensor.Tensor, len(s.in))
	for i, p := range s.in {
		if p != nil {
			in[i] = f.vals[p.id]
		}
		if past := pastAt[s.node.kind]; i != past && i != past+1 {
			in[i] = s.long(in[i])
		}
	}
	if run.a = s.read(s.node, in); run.a == nil || run.a.far() || !finite(run.a.scale) || !finite(run.a.cap) {
		run.a = nil
		return s.define(f, in)
	}
	run.a.y = headRows{x: f.f32(s.dst)}
	run.a.layOut(s.node.out[0].shape, s.turned)
	s.buffers(f, run)
	return nil
}

// long is a tensor of 16-bit floats as one of float32; others are as they are.
func (s *attentionStep) long(t *tensor.Tensor) *tensor.Tensor {
	if t == nil || t.DType != tensor.Float16 && t.DType != tensor.BFloat16 {
		return t
	}
	x := tensor.New(tensor.Float32, t.Shape...)
	decodeHalf(s.level, t.DType, tensor.Of[float32](x), tensor.Of[uint16](t))
	return x
}

// short is a tensor of float32 as one of the type that is kept.
func (s *attentionStep) short(t *tensor.Tensor) *tensor.Tensor {
	if s.kept == tensor.Float32 {
		return t
	}
	x := tensor.New(s.kept, t.Shape...)
	encodeHalf(s.level, s.kept, tensor.Of[uint16](x), tensor.Of[float32](t))
	return x
}

// define computes the results by definition.
func (s *attentionStep) define(f *frame, in []*tensor.Tensor) error {
	if s.eval == nil {
		return errDeclared
	}
	for i, t := range in {
		in[i] = s.long(t)
	}
	res, err := s.eval.run(f.ctx, in)
	if err != nil {
		return err
	}
	if !sameShape(res[0].Shape, s.node.out[0].shape) {
		return errDeclared
	}
	copy(f.vals[s.dst.id].Raw, res[0].Raw)
	for i, p := range s.present {
		if p != nil {
			f.bind(p, s.short(res[1+i]))
		}
	}
	return nil
}

// layOut says where the heads of the result lie: a shape of three dimensions has them in its rows, as one that is turned.
func (a *attention) layOut(shape []int, turned bool) {
	if len(shape) == 4 && !turned {
		a.y = inFront(a.y.x, shape)
		return
	}
	a.y = inRows(a.y.x, a.rows, a.heads*a.vsize, 0, a.vsize)
}

// buffers makes what the past and the new keys and values are put in.
func (s *attentionStep) buffers(f *frame, run *attentionRun) {
	a := run.a
	a.kept, a.stored = s.kept, a.bias[1] != nil || a.bias[2] != nil || a.rotary != nil
	for i := range a.past {
		a.stored = a.stored || s.present[i] != nil || a.past[i].rows > 0
	}
	if !a.stored {
		a.present = [2]headRows{a.k, a.v}
		return
	}
	for i, size := range []int{a.size, a.vsize} {
		shape := []int{a.batch, a.kv, a.room, size}
		var t *tensor.Tensor
		if s.present[i] != nil || s.kept == tensor.Float32 {
			t = tensor.New(s.kept, shape...)
		}
		if s.kept == tensor.Float32 {
			a.present[i] = inFront(tensor.Of[float32](t), shape)
		} else {
			a.present[i] = inFront(grow(&run.buffers[i], tensor.Elements(shape)), shape)
		}
		if s.present[i] == nil {
			continue
		}
		if f.bind(s.present[i], t); s.kept != tensor.Float32 {
			a.keptHalf[i] = tensor.Of[uint16](t)
		}
	}
}

// far says whether the rows of a head begin further apart than 32 bits tell.
func (a *attention) far() bool {
	return float64(a.room)*float64(max(a.size, a.vsize, a.k.step, a.v.step)) > math.MaxInt32
}

// part computes some of the units: the queries of the heads that share a key and a value, or a range of them.
func (s *attentionStep) part(f *frame, part int) error {
	run := f.packs[s.slot].(*attentionRun)
	a := run.a
	if a == nil {
		return nil
	}
	ranges, queries := a.ranges(s.parts), a.heads/a.kv*a.rows
	all := a.batch * a.kv * ranges
	blocks := (queries + queryBlock - 1) / queryBlock
	for i := all * part / s.parts; i < all*(part+1)/s.parts; i++ {
		c := i % ranges
		u := attentionUnit{attention: a, mem: &run.rooms[part], level: s.level, n: i / ranges / a.kv, key: i / ranges % a.kv,
			from: blocks * c / ranges * queryBlock, to: min(queries, blocks*(c+1)/ranges*queryBlock)}
		u.run()
	}
	return nil
}

// ranges is into how many the queries of a key are cut, where there are fewer keys than parts. Each reads the same blocks of keys,
// so that results do not depend on their number; what is stored beside them is not cut.
func (a *attention) ranges(parts int) int {
	if a.stored || a.causal || a.left >= 0 || a.right >= 0 {
		return 1
	}
	blocks := (a.heads/a.kv*a.rows + queryBlock - 1) / queryBlock
	return max(1, min((parts+a.batch*a.kv-1)/(a.batch*a.kv), blocks))
}
