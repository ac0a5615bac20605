package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Options change how a model is compiled. The zero value is right for most uses.
type Options struct {
	Threads   int           // how many threads one run may use; 0 means one for each CPU
	Level     *kernel.Level // greatest instruction set to use; nil means the best this machine has
	Watch     []string      // values that [Session.RunWatch] shows; fusion leaves them observable
	AnyOrder  bool          // show a value whose channels lie last as a matrix (N·space,C), which costs no transposition
	Seed      uint64        // of the random operators
	MaxMemory int64         // most bytes that the values of one run may take; 0 means 32 GiB
	Direct    bool          // compute float convolutions by their sums alone, not in Winograd's form: what other forms are measured against
	Reference bool          // evaluate node after node by the operators' definitions, without compiling

	// Release, if set, is told the bytes of each weight that has been packed, by any thread: they are seldom read again.
	Release func(b []byte)
}

// A Session runs one model. Its methods may be called from several goroutines at once.
type Session struct {
	model *graph.Model
	opt   Options
	level kernel.Level
	crew  *crew // nil in a session for a subgraph
	packs packCache

	nesting int // compilations in a run around this one

	mu       sync.Mutex
	programs []*keyed        // the latest used last
	rigids   map[string]bool // types of open programs that are not worth having, as typeKey writes them
}

// A keyed program belongs to one set of input types, of which some dimensions are open in an open one.
type keyed struct {
	types map[string]graph.Type
	runs  []map[string]graph.Type // of an open one: the types of two runs that it was made after
	made  bool                    // of another: it was compiled without an error
	once  sync.Once
	prog  *program
	err   error
}

// maxPrograms is how many sets of input shapes a session keeps programs for.
const maxPrograms = 16

// Compile prepares a model. It does not change m, but keeps its tensors, which must not change while
// the session lives. Where the declared input shapes are static it compiles for them at once; other
// shapes compile on the first run that has them.
func Compile(m *graph.Model, opt Options) (*Session, error) {
	level, err := kernel.Best()
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	if opt.Level != nil {
		level = min(level, *opt.Level)
	}
	if opt.Threads <= 0 {
		opt.Threads = runtime.GOMAXPROCS(0)
	}
	s := &Session{model: m, opt: opt, level: level, crew: newCrew(opt.Threads), packs: packCache{release: opt.Release}}
	s.packs.fix(m)
	runtime.AddCleanup(s, func(c *crew) { c.close() }, s.crew)
	types := map[string]graph.Type{}
	for _, v := range m.Graph.Required() {
		if _, ok := v.Type.Static(); !ok || !v.Type.IsTensor() {
			return s, nil
		}
		types[v.Name] = v.Type
	}
	if opt.Reference {
		return s, nil
	}
	if _, err = s.program(types, nil); err != nil && !errors.Is(err, errDeclared) { // of that the first run tells
		s.Close()
		return nil, err
	}
	return s, nil
}

// program returns the program for inputs of the given types, compiled at the first request. The
// overridden initializers are inputs too.
func (s *Session) program(types map[string]graph.Type, override []string) (*program, error) {
	k := s.keyed(types)
	k.once.Do(func() {
		if k.prog, k.err = s.compile(types, override, nil); k.err == nil {
			s.mu.Lock()
			k.made = true
			s.mu.Unlock()
		}
	})
	return k.prog, k.err
}

// keyed returns the place of the program of some types, which it makes the last used.
func (s *Session) keyed(types map[string]graph.Type) *keyed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(types); i >= 0 {
		return s.refresh(i)
	}
	return s.keep(&keyed{types: types})
}

// find returns the number of the program that was made for these types alone, -1 where there is none.
func (s *Session) find(types map[string]graph.Type) int {
	for i, k := range slices.Backward(s.programs) {
		if k.runs == nil && maps.EqualFunc(k.types, types, sameType) {
			return i
		}
	}
	return -1
}

func sameType(a, b graph.Type) bool {
	if !a.IsTensor() || !b.IsTensor() {
		return a.String() == b.String()
	}
	return a.DType == b.DType && a.Ranked == b.Ranked && slices.EqualFunc(a.Shape, b.Shape, func(d, e graph.Dim) bool { return d.Size == e.Size && d.Name == e.Name })
}

// keep adds a program, for which the one that was not used for longest may have to go.
func (s *Session) keep(k *keyed) *keyed {
	if len(s.programs) == maxPrograms {
		s.programs = slices.Delete(s.programs, 0, 1)
	}
	s.programs = append(s.programs, k)
	return k
}

// refresh makes program i the last used.
func (s *Session) refresh(i int) *keyed {
	k := s.programs[i]
	copy(s.programs[i:], s.programs[i+1:])
	s.programs[len(s.programs)-1] = k
	return k
}

// typeKey writes input types as one string.
func typeKey(types map[string]graph.Type) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(types)) {
		fmt.Fprintf(&b, "%q %s\n", name, types[name])
	}
	return b.String()
}

// compile makes a program. One for types with open dimensions, which has the facts of some runs, is made only where it is worth
// having: see rigid.
func (s *Session) compile(types map[string]graph.Type, override []string, runs []op.Facts) (*program, error) {
	m, facts, guesses, err := prepareOpen(s.model, types, override, runs...)
	if fault.KindOf(err) == fault.Invalid {
		return nil, errDeclared // perhaps only in a branch that never runs
	} else if err != nil {
		return nil, err
	}
	g, err := buildNet(m, facts, guesses, s.opt.Watch)
	if err != nil {
		return nil, err
	}
	g.open = len(runs) > 0
	findAttentions(g)
	if g.open && (g.rigid() || len(guesses) > 0 && len(s.opt.Watch) > 0) { // a run that fails must not show values
		return nil, errRigid
	}
	g.level, g.nesting = s.level, s.nesting
	for _, p := range passes {
		p.run(g)
	}
	limit := s.opt.MaxMemory
	if limit <= 0 {
		limit = defaultMemory
	}
	if err := g.within(limit); err != nil {
		return nil, err
	}
	lw := &lowerer{net: g, level: s.level, threads: s.opt.Threads, seed: s.opt.Seed, memory: limit, weights: g.weightBytes(), packs: &s.packs, crew: s.crew, anyOrder: s.opt.AnyOrder, direct: s.opt.Direct}
	p, err := lw.lower()
	if err == nil && int64(p.arena) > limit {
		return nil, fault.Limitf("", "a run takes %d bytes for its values, more than the %d allowed", p.arena, limit)
	}
	return p, err
}

// weightBytes is the size of the constants of the model.
func (g *net) weightBytes() (total int) {
	for _, c := range g.model.Graph.Consts() {
		if c.Tensor != nil {
			total += len(c.Tensor.Raw)
		}
	}
	return total
}

// defaultMemory is the most bytes for the values of one run where the options say nothing.
const defaultMemory = 32 << 30

// within says which value alone takes more than limit bytes, before anything is made for it.
func (g *net) within(limit int64) error {
	for _, n := range g.nodes {
		for _, v := range n.out {
			if v == nil || !v.known {
				continue
			}
			if b := float64(v.elems()) * float64(v.dtype.Bits()) / 8; b > float64(limit) {
				return fault.Limitf(n.onnx.Label(), "its result %s%s takes %.0f bytes, more than the %d allowed", v.dtype, tensor.FormatShape(v.shape), b, limit)
			}
		}
	}
	return nil
}

// Inputs lists what a caller has to feed.
func (s *Session) Inputs() []*graph.Value { return s.model.Graph.Required() }

// Outputs lists what a run returns.
func (s *Session) Outputs() []*graph.Value { return s.model.Graph.Out }

// Level returns the greatest instruction set that the session uses.
func (s *Session) Level() kernel.Level { return s.level }

// Threads returns how many threads one run may use.
func (s *Session) Threads() int { return s.opt.Threads }

// Run evaluates the model on inputs by name, of the element types and shapes that [Session.Inputs] tells; those with
// an initializer may be left out. It reads the inputs and keeps none. It returns every output by name; they are the caller's own, whatever
// runs later: they share no memory with inputs, with one another, with the session or with the model.
//
// An input that is missing, unknown or of another type or shape is an error of kind Invalid. Once ctx is done, Run soon returns its cause.
func (s *Session) Run(ctx context.Context, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	return s.RunWatch(ctx, in, nil)
}

// RunInto is [Session.Run] that writes an output to the tensor of its name in into, where that has its type and shape, as the
// outputs of an earlier run have. Memory that is new has to be cleared and fetched, which takes as long as much that is computed
// there. A run that fails leaves anything in into.
func (s *Session) RunInto(ctx context.Context, in, into map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	return s.runFor(ctx, in, func(f *frame) { f.into = into }, nil)
}

// RunWatch is [Session.Run] that also shows each value of Options.Watch, as soon as it exists, with the
// shape and element order that ONNX gives it, or as a matrix with Options.AnyOrder. A shown tensor is valid until watch returns.
func (s *Session) RunWatch(ctx context.Context, in map[string]*tensor.Tensor, watch func(name string, t *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	return s.runFor(ctx, in, func(f *frame) { f.watch = watch }, watch)
}

// runFor evaluates the program, or the definitions where there is none.
func (s *Session) runFor(ctx context.Context, in map[string]*tensor.Tensor, prepare func(*frame), watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	if s == nil || s.model == nil {
		return nil, fault.Invalidf("session", "is missing").WithHint("compile a model first")
	}
	if err := checkCall(ctx, in); err != nil {
		return nil, err
	}
	if s.opt.Reference {
		return s.reference(ctx, in, watch)
	}
	out, err := s.run(ctx, in, prepare)
	if errors.Is(err, errDeclared) {
		return s.reference(ctx, in, watch)
	}
	return out, err
}

// run evaluates the program for the shapes of in.
func (s *Session) run(ctx context.Context, in map[string]*tensor.Tensor, prepare func(*frame)) (map[string]*tensor.Tensor, error) {
	types, override, err := inputTypes(s.model.Graph, in)
	if err != nil {
		return nil, err
	}
	var c *crew
	if s.crew.acquire() {
		defer s.crew.release()
		c = s.crew
	}
	return s.evaluate(ctx, in, types, override, c, prepare)
}

// evaluate runs the program for in, whose types these are. An open one that fails may have assumed what does not hold: the
// program of these types alone has the last word.
func (s *Session) evaluate(ctx context.Context, in map[string]*tensor.Tensor, types map[string]graph.Type, override []string, c *crew, prepare func(*frame)) (map[string]*tensor.Tensor, error) {
	open := s.openFor(types, override)
	if open != nil {
		out, err := open.prog.run(ctx, in, c, prepare)
		if err == nil || ctx.Err() != nil {
			return out, err
		}
	}
	p, err := s.program(types, override)
	if err != nil {
		return nil, err
	}
	out, err := p.run(ctx, in, c, prepare)
	if err == nil && open != nil {
		s.forget(open, true)
	}
	return out, err
}

// checkCall refuses what a caller can get wrong whatever the model: no context, and tensors whose fields are at odds.
func checkCall(ctx context.Context, in map[string]*tensor.Tensor) error {
	if ctx == nil {
		return fault.Invalidf("context", "is missing")
	}
	wrong := ""
	for name, t := range in {
		if t.Check() != nil && (wrong == "" || name < wrong) {
			wrong = name
		}
	}
	if wrong != "" {
		return fault.Invalidf(fmt.Sprintf("input %q", wrong), "%v", in[wrong].Check())
	}
	return nil
}

// typeFor is the type of an input that holds t. What is declared optional stays so.
func typeFor(v *graph.Value, t *tensor.Tensor) graph.Type {
	if v.Type.Kind == graph.OptionalType {
		return v.Type
	}
	return graph.TypeOf(t)
}

// inputTypes holds the given values against the declared inputs and returns their types, and the
// names among them that override an initializer.
func inputTypes(g *graph.Graph, in map[string]*tensor.Tensor) (map[string]graph.Type, []string, error) {
	types := map[string]graph.Type{}
	var override []string
	for _, v := range g.Required() {
		if t := in[v.Name]; t == nil && v.Type.Kind != graph.OptionalType {
			return nil, nil, fault.Invalidf(fmt.Sprintf("input %q", v.Name), "is missing; it is %s", v.Type)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		v, t := g.Input(name), in[name]
		place := fmt.Sprintf("input %q", name)
		if v == nil || t == nil {
			return nil, nil, fault.Invalidf(place, "is not an input of the model")
		}
		types[name] = typeFor(v, t)
		if !v.Type.Accepts(types[name]) && v.Type.Kind != graph.OptionalType {
			return nil, nil, fault.Invalidf(place, "is %s, the model wants %s", types[name], v.Type)
		}
		if g.Const(name) != nil {
			override = append(override, name)
		}
	}
	return types, override, nil
}

func (s *Session) reference(ctx context.Context, in map[string]*tensor.Tensor, watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	wanted := map[string]bool{}
	for _, name := range s.opt.Watch {
		wanted[name] = true
	}
	opt := op.Options{Seed: s.opt.Seed, Context: ctx}
	if watch != nil {
		opt.Watch = func(name string, t *tensor.Tensor) {
			if wanted[name] {
				watch(name, t)
			}
		}
	}
	out, err := op.Run(s.model, in, opt)
	for name, t := range out {
		out[name] = t.Clone() // it may be an input, a constant or another output
	}
	return out, err
}

// A StepTime tells what one step of a compiled program is and how long it took.
type StepTime struct {
	Node   string        // label of the ONNX node it stands for: of several, the product, or the last where there is none
	Op     string        // its operator, such as "Conv"
	Kernel string        // what computes it, such as "conv u8s8 1x1 vnni"
	Out    string        // shape of the first result, as ONNX orders it
	MACs   int64         // multiply-adds; 0 where they are not counted
	Time   time.Duration // median over the runs
}

// Profile runs the model some times and returns the time of each step, in order.
func (s *Session) Profile(ctx context.Context, in map[string]*tensor.Tensor, runs int) ([]StepTime, error) {
	if runs < 1 {
		return nil, fault.Invalidf("profile", "needs at least one run, not %d", runs)
	}
	if err := checkCall(ctx, in); err != nil {
		return nil, err
	}
	var steps []*step
	var times [][]time.Duration
	var last map[string]*tensor.Tensor
	for range runs {
		var row []time.Duration
		out, err := s.run(ctx, in, func(f *frame) {
			f.into = last
			steps, row = f.prog.steps, make([]time.Duration, len(f.prog.steps))
			f.times = row
		})
		if err != nil {
			return nil, err
		}
		times, last = append(times, row), out
	}
	out := make([]StepTime, len(steps))
	for i, st := range steps {
		column := make([]time.Duration, len(times))
		for r, row := range times {
			column[r] = row[i]
		}
		slices.Sort(column)
		out[i] = st.describe()
		out[i].Time = column[len(column)/2]
	}
	return out, nil
}

func (s *step) describe() StepTime {
	t := StepTime{Node: s.label(), Kernel: s.kernel, MACs: s.macs}
	if s.node != nil {
		t.Op = s.node.onnx.Op
		if v := s.node.out[0]; v != nil && v.known {
			t.Out = tensor.FormatShape(v.shape)
		}
	}
	return t
}

// Close ends the session's threads and leaves the memory of its runs to other sessions; later runs work on the caller's
// thread alone. A session that is not closed ends them when it is collected.
func (s *Session) Close() {
	if s == nil || s.crew == nil {
		return
	}
	s.crew.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.programs {
		if k.made {
			k.prog.close()
		}
	}
}
