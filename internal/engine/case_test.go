package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A maker builds a small model with random constants.
type maker struct {
	m   *graph.Model
	in  map[string]*tensor.Tensor
	rng *rand.Rand
	n   int
}

func newMaker(seed uint64) *maker {
	g := &graph.Graph{Name: "case"}
	return &maker{
		m:   &graph.Model{IR: 10, Opsets: []graph.Opset{{Domain: "", Version: 17}, {Domain: "com.microsoft", Version: 1}}, Graph: g},
		in:  map[string]*tensor.Tensor{},
		rng: rand.New(rand.NewPCG(seed, 1)),
	}
}

func (k *maker) name() string {
	k.n++
	return fmt.Sprintf("v%d", k.n)
}

// floats returns a tensor of normal numbers.
func (k *maker) floats(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Of[float32](t) {
		tensor.Of[float32](t)[i] = float32(k.rng.NormFloat64())
	}
	return t
}

// codes returns a tensor of integers in [lo, hi].
func (k *maker) codes(d tensor.DType, lo, hi int, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	for i := range t.Len() {
		v := lo + k.rng.IntN(hi-lo+1)
		if d == tensor.Int32 {
			tensor.Of[int32](t)[i] = int32(v)
		} else {
			t.Raw[i] = byte(v)
		}
	}
	return t
}

// input adds an input with a value.
func (k *maker) input(t *tensor.Tensor) string {
	name := k.name()
	k.m.Graph.In = append(k.m.Graph.In, &graph.Value{Name: name, Type: graph.TypeOf(t)})
	k.in[name] = t
	return name
}

func (k *maker) constant(t *tensor.Tensor) string {
	name := k.name()
	k.m.Graph.SetConst(name, t)
	return name
}

func (k *maker) scalar(v float32) string { return k.constant(tensor.Scalar(v)) }

// node adds an operator with one result, of another domain by its qualified name; attrs are pairs of name and value.
func (k *maker) node(op string, in []string, attrs ...any) string {
	domain, op := cutDomain(op)
	n := &graph.Node{Op: op, Domain: domain, In: in, Out: []string{k.name()}}
	for i := 0; i+1 < len(attrs); i += 2 {
		n.SetAttr(attrs[i].(string), attrs[i+1])
	}
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
	return n.Out[0]
}

func (k *maker) output(names ...string) {
	for _, n := range names {
		k.m.Graph.Out = append(k.m.Graph.Out, &graph.Value{Name: n})
	}
}

// quantized puts Q and DQ behind a value; codes are uint8, or int8 where zero is negative.
func (k *maker) quantized(x string, scale float32, zero int, d tensor.DType) string {
	s, z := k.scalar(scale), k.constant(&tensor.Tensor{DType: d, Raw: []byte{byte(zero)}})
	q := k.node("QuantizeLinear", []string{x, s, z})
	return k.node("DequantizeLinear", []string{q, s, z})
}

// weight adds int8 weights behind a DQ node, with one scale for each index of axis, or one in all.
func (k *maker) weight(axis int, perChannel bool, shape ...int) (name string, scale []float32) {
	n := 1
	if perChannel {
		n = shape[axis]
	}
	for range n {
		scale = append(scale, 0.002+0.01*k.rng.Float32())
	}
	s, z := tensor.Float32s(scale, n), tensor.New(tensor.Int8, n)
	if !perChannel {
		s, z = s.Reshape(), z.Reshape()
	}
	w := k.constant(k.codes(tensor.Int8, -127, 127, shape...))
	return k.node("DequantizeLinear", []string{w, k.constant(s), k.constant(z)}, "axis", int64(axis)), scale
}

// runs is a way to run a model. All must agree.
type runs struct {
	level   kernel.Level
	threads int
}

// best is the highest level of this machine.
func best() kernel.Level { return kernel.Levels()[len(kernel.Levels())-1] }

// levels lists all of this machine; the detector sees nothing of those in assembly, so that one has to do.
func levels() []kernel.Level {
	if raced {
		return []kernel.Level{kernel.Generic, best()}
	}
	return kernel.Levels()
}

// allRuns begins with plain Go. The detector learns nothing where there is one thread.
func allRuns() []runs {
	if raced {
		return []runs{{kernel.Generic, 3}, {best(), 8}}
	}
	var list []runs
	for _, l := range levels() {
		list = append(list, runs{l, 1})
	}
	list = append(list, runs{kernel.Generic, 3})
	for _, n := range []int{2, 3, 8} {
		list = append(list, runs{best(), n})
	}
	return list
}

// evaluate runs the engine twice in one way, the second time into memory that is full of marks, and returns the steps, which
// took no time.
func (k *maker) evaluate(t *testing.T, r runs, watch []string) (map[string]*tensor.Tensor, []StepTime) {
	t.Helper()
	s, err := Compile(k.m, Options{Threads: r.threads, Level: &r.level, Watch: watch})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), k.in)
	if err != nil {
		t.Fatal(err)
	}
	var steps []StepTime
	again, err := s.run(context.Background(), k.in, func(f *frame) {
		f.into = marked(out)
		for _, st := range f.prog.steps {
			steps = append(steps, st.describe())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range out {
		if string(out[name].Raw) != string(again[name].Raw) {
			t.Fatalf("%v: %s differs between two runs", r, name)
		}
	}
	return out, steps
}

// marked returns tensors of the types and shapes of list, full of marks.
func marked(list map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	into := map[string]*tensor.Tensor{}
	for name, t := range list {
		if t.Kind == tensor.Dense && len(t.Raw) > 0 {
			m := t.Clone()
			for i := range m.Raw {
				m.Raw[i] = 0xA5
			}
			into[name] = m
		}
	}
	return into
}

func (k *maker) reference(t *testing.T) map[string]*tensor.Tensor {
	t.Helper()
	want, err := op.Run(k.m, k.in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// stepsBelow returns the steps of the model under the best level below l, whose own form is another one.
func (k *maker) stepsBelow(t *testing.T, l kernel.Level) []StepTime {
	t.Helper()
	_, steps := k.evaluate(t, runs{min(best(), l-1), 2}, nil)
	return steps
}

// checkFloat holds all runs against the reference within rounding, and those that differ in threads
// against each other bit by bit. It returns the steps of the last.
func (k *maker) checkFloat(t *testing.T) []StepTime {
	t.Helper()
	want := k.reference(t)
	var steps []StepTime
	first := map[kernel.Level]map[string]*tensor.Tensor{}
	for _, r := range allRuns() {
		var got map[string]*tensor.Tensor
		got, steps = k.evaluate(t, r, nil)
		if first[r.level] == nil {
			first[r.level] = got
		}
		for name, w := range want {
			within(t, fmt.Sprintf("%v %s", r, name), got[name], w, 1e-4, 1e-5)
			if string(got[name].Raw) != string(first[r.level][name].Raw) {
				t.Errorf("%v: %s depends on the number of threads", r, name)
			}
		}
	}
	return steps
}

// checkSteps holds all runs against each other bit by bit, and against the reference: of values that
// are whole multiples of scale, at most one in a thousand may differ, by one step. (The reference adds
// up in float; ties may fall to either side.)
func (k *maker) checkSteps(t *testing.T, scale float32) []StepTime {
	t.Helper()
	want := k.reference(t)
	var steps []StepTime
	var first map[string]*tensor.Tensor
	for _, r := range allRuns() {
		var got map[string]*tensor.Tensor
		got, steps = k.evaluate(t, r, nil)
		if first == nil {
			first = got
		}
		for name, w := range want {
			if string(got[name].Raw) != string(first[name].Raw) {
				t.Fatalf("%v: %s differs from the plain Go result", r, name)
			}
			atMostOneStep(t, name, got[name], w, scale)
		}
	}
	return steps
}

// checkExact holds all runs against the reference bit by bit.
func (k *maker) checkExact(t *testing.T) []StepTime {
	t.Helper()
	want := k.reference(t)
	var steps []StepTime
	for _, r := range allRuns() {
		var got map[string]*tensor.Tensor
		got, steps = k.evaluate(t, r, nil)
		for name, w := range want {
			if got[name].String() != w.String() || string(got[name].Raw) != string(w.Raw) {
				t.Fatalf("%v: %s differs from the reference", r, name)
			}
		}
	}
	return steps
}

func atMostOneStep(t *testing.T, name string, got, want *tensor.Tensor, scale float32) {
	t.Helper()
	if got.String() != want.String() {
		t.Fatalf("%s is %v, not %v", name, got, want)
	}
	off := 0
	for i, w := range asFloats(want) {
		d := math.Abs(float64(asFloats(got)[i]-w)) / float64(scale)
		if d > 1.001 {
			t.Fatalf("%s[%d] is %g, not %g: %g steps", name, i, asFloats(got)[i], w, d)
		}
		if d > 0.5 {
			off++
		}
	}
	if allowed := want.Len()/1000 + 1; off > allowed {
		t.Errorf("%s: %d of %d elements are one step off", name, off, want.Len())
	}
}

func asFloats(t *tensor.Tensor) []float32 {
	if t.DType == tensor.Float32 {
		return tensor.Of[float32](t)
	}
	ints, _ := t.Ints()
	out := make([]float32, len(ints))
	for i, v := range ints {
		out[i] = float32(v)
	}
	return out
}

// wantKernels fails unless each named kernel is among the steps, and no reference evaluation is.
func wantKernels(t *testing.T, steps []StepTime, names ...string) {
	t.Helper()
	for _, want := range names {
		found := false
		for _, s := range steps {
			found = found || s.Kernel == want
		}
		if !found {
			t.Errorf("no step uses %q: %v", want, kernelsOf(steps))
		}
	}
	for _, s := range steps {
		if s.Kernel == "reference" {
			t.Errorf("%s runs by reference", s.Node)
		}
	}
}

func kernelsOf(steps []StepTime) []string {
	var list []string
	for _, s := range steps {
		list = append(list, s.Kernel)
	}
	return list
}
