package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// small is a network with a convolution, a residual and a head; its batch size is free.
func small(seed uint64) *maker {
	k := newMaker(seed)
	x := k.image(1, 9, 8, 8)
	y := k.node("Relu", []string{k.node("Add", []string{k.conv3(x, 9, 9), x})})
	p := k.node("GlobalAveragePool", []string{k.node("MaxPool", []string{y}, "kernel_shape", []int64{2, 2}, "strides", []int64{2, 2})})
	k.output(k.node("MatMul", []string{k.node("Flatten", []string{p}), k.constant(k.floats(9, 5))}))
	k.m.Graph.In[0].Type.Shape[0] = graph.Symbol("N")
	return k
}

func (k *maker) compile(t testing.TB, opt Options) *Session {
	t.Helper()
	s, err := Compile(k.m, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestShapesAreSpecialised(t *testing.T) {
	k := small(1)
	s := k.compile(t, Options{Threads: 2})
	for _, n := range []int{1, 3, 2, 3, 1} {
		in := map[string]*tensor.Tensor{k.m.Graph.In[0].Name: k.floats(n, 9, 8, 8)}
		got, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := op.Run(k.m, in, op.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			within(t, name, got[name], w, 1e-4, 1e-5)
		}
	}
	if len(s.programs) != 3 {
		t.Errorf("%d programs for 3 shapes", len(s.programs))
	}
	for n := range maxPrograms + 2 {
		if _, err := s.Run(context.Background(), map[string]*tensor.Tensor{k.m.Graph.In[0].Name: k.floats(n+1, 9, 8, 8)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.programs) != maxPrograms {
		t.Errorf("%d programs are kept, not %d", len(s.programs), maxPrograms)
	}
}

// TestRunInto writes outputs to given memory, but not where an input or another output lies, or what has another shape.
func TestRunInto(t *testing.T) {
	k := newMaker(1)
	x := k.input(k.floats(3, 40))
	k.output(k.node("Neg", []string{x}), k.node("Abs", []string{x}), k.node("Identity", []string{x}))
	s := k.compile(t, Options{Threads: 1})
	want, err := s.Run(context.Background(), k.in)
	if err != nil {
		t.Fatal(err)
	}
	neg, abs, same := k.m.Graph.Out[0].Name, k.m.Graph.Out[1].Name, k.m.Graph.Out[2].Name
	into := marked(want)
	neither := tensor.New(tensor.Float32, 40, 3)
	for i, c := range []struct {
		into map[string]*tensor.Tensor
		here bool // whether all of it is written to
	}{
		{map[string]*tensor.Tensor{neg: into[neg], abs: into[abs]}, true},
		{map[string]*tensor.Tensor{neg: into[neg], abs: into[neg]}, false},
		{map[string]*tensor.Tensor{neg: k.in[x]}, false},
		{map[string]*tensor.Tensor{abs: neither}, false},
		{map[string]*tensor.Tensor{neg: want[neg], abs: want[abs], same: want[same]}, false},
	} {
		input := k.in[x].Clone()
		got, err := s.RunInto(context.Background(), k.in, c.into)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range k.reference(t) {
			within(t, name, got[name], w, 0, 0)
		}
		if string(input.Raw) != string(k.in[x].Raw) {
			t.Fatalf("%d: the input is overwritten", i)
		}
		here := true
		for name, u := range c.into {
			here = here && &got[name].Raw[0] == &u.Raw[0]
		}
		if here != c.here {
			t.Errorf("%d: written to what is given: %v, want %v", i, here, c.here)
		}
	}
}

func TestInputErrors(t *testing.T) {
	k := small(1)
	s := k.compile(t, Options{})
	name := k.m.Graph.In[0].Name
	for want, in := range map[string]map[string]*tensor.Tensor{
		"is missing":               {},
		"the model wants":          {name: tensor.New(tensor.Int32, 1, 9, 8, 8)},
		"is not an input":          {name: k.floats(1, 9, 8, 8), "other": k.floats(1)},
		"is float[1,8,8,8], the m": {name: k.floats(1, 8, 8, 8)},
		"do not take 8 bytes":      {name: {DType: tensor.Float32, Shape: []int{1, 9, 8, 8}, Raw: make([]byte, 8)}},
		"there is no tensor":       {name: nil},
	} {
		_, err := s.Run(context.Background(), in)
		if err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("error is %v, not %q", err, want)
		}
	}
}

// TestOverride feeds an input that has an initializer, as files of IR 3 allow.
// TestOutputsAreOwn writes into the outputs of networks that pass inputs and constants through, and shows one tensor under two names.
func TestOutputsAreOwn(t *testing.T) {
	for _, reference := range []bool{false, true} {
		k := newMaker(1)
		x := k.input(k.floats(2, 3))
		c := k.constant(k.floats(2, 3))
		r := k.node("Relu", []string{x})
		flat := k.constant(tensor.Vector(6))
		k.output(x, c, r, k.node("Identity", []string{x}), k.node("Identity", []string{c}), k.node("Reshape", []string{x, flat}), k.node("Reshape", []string{r, flat}))
		s := k.compile(t, Options{Threads: 1, Reference: reference})
		in := map[string]*tensor.Tensor{x: k.floats(2, 3)}
		given := in[x].Clone()
		first, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]*tensor.Tensor{}
		for name, o := range first {
			want[name] = o.Clone()
		}
		for name, o := range first {
			clear(o.Raw)
			for other := range first {
				if other != name && !slices.Equal(first[other].Raw, want[other].Raw) {
					t.Errorf("reference %v: writing into output %q changes %q", reference, name, other)
				}
			}
			copy(o.Raw, want[name].Raw)
		}
		for _, o := range first {
			clear(o.Raw)
		}
		if !slices.Equal(in[x].Raw, given.Raw) {
			t.Errorf("reference %v: an output shares memory with the input", reference)
		}
		again, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			if !slices.Equal(again[name].Raw, w.Raw) {
				t.Errorf("reference %v: output %q of the second run is another", reference, name)
			}
		}
	}
}

func TestOverride(t *testing.T) {
	k := newMaker(1)
	k.m.Graph.SetConst("w", k.floats(4, 5))
	k.m.Graph.In = append(k.m.Graph.In, &graph.Value{Name: "w", Type: graph.Of(tensor.Float32, 4, 5)})
	k.output(k.node("MatMul", []string{k.input(k.floats(3, 4)), "w"}))
	s := k.compile(t, Options{})
	for range 2 {
		got, err := s.Run(context.Background(), k.in)
		if err != nil {
			t.Fatal(err)
		}
		within(t, "y", got[k.m.Graph.Out[0].Name], k.reference(t)[k.m.Graph.Out[0].Name], 1e-4, 1e-5)
		k.in["w"] = k.floats(4, 5)
	}
}

// TestWatch holds every watched value against the reference, while the outputs stay what they are.
func TestWatch(t *testing.T) {
	k := small(2)
	var names []string
	want := map[string]*tensor.Tensor{}
	_, err := op.Run(k.m, k.in, op.Options{Watch: func(name string, v *tensor.Tensor) {
		names = append(names, name)
		want[name] = v
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := k.compile(t, Options{Threads: 2, Watch: names})
	var seen []string
	_, err = s.RunWatch(context.Background(), k.in, func(name string, v *tensor.Tensor) {
		seen = append(seen, name)
		within(t, name, v, want[name], 1e-4, 1e-5)
	})
	if err != nil || !slices.Equal(seen, names) {
		t.Errorf("watched %v, not %v; %v", seen, names, err)
	}
}

// TestWatchConstants shows values that are the same in every run once each, whatever computes them.
func TestWatchConstants(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float32, tensor.Float16} {
		k := newMaker(4)
		half := func(name string, to tensor.DType) string { return k.node("Cast", []string{name}, "to", int64(to)) }
		x := half(k.input(k.floats(2, 4)), d)
		rows := k.node("Gather", []string{k.node("Shape", []string{x}), k.constant(tensor.Vector(0))})
		table, err := format.FromFloats(d, make([]float64, 32), false, 8, 4)
		if err != nil {
			t.Fatal(err)
		}
		part := k.node("Slice", []string{k.constant(table), k.constant(tensor.Vector(0)), rows, k.constant(tensor.Vector(0))})
		deep := k.node("Neg", []string{part})
		k.output(half(k.node("Add", []string{x, deep}), tensor.Float32))
		shown := map[string]int{}
		s := k.compile(t, Options{Watch: []string{part, deep}})
		if _, err := s.RunWatch(context.Background(), k.in, func(name string, _ *tensor.Tensor) { shown[name]++ }); err != nil {
			t.Fatal(err)
		}
		if shown[part] != 1 || shown[deep] != 1 {
			t.Errorf("%s: shown %v", d, shown)
		}
	}
}

// TestWatchAnyOrder sees the same elements without a step that transposes for the eye alone.
func TestWatchAnyOrder(t *testing.T) {
	k := newMaker(3)
	x := k.conv3(k.image(1, 3, 8, 8), 3, 12)
	k.output(k.node("GlobalAveragePool", []string{k.conv3(x, 12, 5)}))
	seen := map[bool][]float32{}
	for _, any := range []bool{false, true} {
		s := k.compile(t, Options{Watch: []string{x}, AnyOrder: any})
		if _, err := s.RunWatch(context.Background(), k.in, func(_ string, v *tensor.Tensor) {
			seen[any] = slices.Clone(tensor.Of[float32](v))
			if any && !slices.Equal(v.Shape, []int{64, 12}) {
				t.Errorf("the shape is %v", v.Shape)
			}
		}); err != nil {
			t.Fatal(err)
		}
		steps, err := s.Profile(context.Background(), k.in, 1)
		if err != nil || any == slices.Contains(kernelsOf(steps), "transpose to row-major") {
			t.Errorf("any order %v: steps %v, %v", any, kernelsOf(steps), err)
		}
	}
	if slices.Equal(seen[true], seen[false]) {
		t.Error("the order is ONNX's")
	}
	slices.Sort(seen[true])
	slices.Sort(seen[false])
	if len(seen[true]) == 0 || !slices.Equal(seen[true], seen[false]) {
		t.Error("the elements differ")
	}
}

func TestMemoryLimit(t *testing.T) {
	k := newMaker(1)
	x := k.image(1, 3, 4, 5)
	big := k.node("Expand", []string{x, k.constant(tensor.Vector(1<<20, 3, 4, 5))})
	k.output(k.node("ReduceSum", []string{k.node("Add", []string{big, big})}))
	if _, err := Compile(k.m, Options{MaxMemory: 1 << 20}); fault.KindOf(err) != fault.Limit || !strings.Contains(err.Error(), "Expand") {
		t.Errorf("error is %v", err)
	}
	if _, err := Compile(k.m, Options{MaxMemory: 300 << 20}); fault.KindOf(err) != fault.Limit {
		t.Errorf("two values of 251 MB in 300 MB: error is %v", err)
	}
	if _, err := Compile(k.m, Options{MaxMemory: 600 << 20}); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	k := small(3)
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := k.compile(t, Options{}).Run(ctx, k.in); !errors.Is(err, cause) {
		t.Errorf("error is %v", err)
	}
}

func TestUnsupported(t *testing.T) {
	k := newMaker(1)
	k.output(k.node("NoSuchOperator", []string{k.image(1, 1, 2, 2)}))
	if _, err := Compile(k.m, Options{}); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("error is %v", err)
	}
}

// TestWrongDeclaration runs a model whose file declares a shape that does not hold.
func TestWrongDeclaration(t *testing.T) {
	k := newMaker(1)
	y := k.node("Relu", []string{k.image(1, 3, 4, 5)})
	k.output(k.node("Neg", []string{y}))
	k.m.Graph.Info = []*graph.Value{{Name: y, Type: graph.Of(tensor.Float32, 1, 3, 9, 9)}}
	got, err := k.compile(t, Options{}).Run(context.Background(), k.in)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range k.reference(t) {
		within(t, name, got[name], w, 0, 0)
	}
}

// TestConcurrent runs one session from many goroutines, under garbage collection.
func TestConcurrent(t *testing.T) {
	k := small(4)
	s := k.compile(t, Options{Threads: 2})
	var wg sync.WaitGroup
	for g := range 6 {
		rng := rand.New(rand.NewPCG(uint64(g), 2))
		wg.Go(func() {
			for range 15 {
				x := tensor.New(tensor.Float32, 1+rng.IntN(2), 9, 8, 8)
				for i := range tensor.Of[float32](x) {
					tensor.Of[float32](x)[i] = rng.Float32()
				}
				in := map[string]*tensor.Tensor{k.m.Graph.In[0].Name: x}
				a, err1 := s.Run(context.Background(), in)
				b, err2 := s.Run(context.Background(), in)
				for name := range a {
					if err1 != nil || err2 != nil || string(a[name].Raw) != string(b[name].Raw) {
						t.Errorf("runs differ: %v, %v", err1, err2)
					}
				}
				if rng.IntN(5) == 0 {
					runtime.GC()
				}
			}
		})
	}
	wg.Wait()
}

func TestPanicBecomesError(t *testing.T) {
	c := newCrew(3)
	defer c.close()
	st := &step{kernel: "broken", parts: 9, run: func(_ *frame, part int) error {
		if part == 7 {
			panic("seven")
		}
		return nil
	}}
	if !c.acquire() {
		t.Fatal("nobody has the crew, yet it is taken")
	}
	if c.acquire() {
		t.Error("the crew was given twice")
	}
	err := st.all(&frame{}, c)
	if err == nil || !strings.Contains(err.Error(), "broken: panic: seven") {
		t.Errorf("error is %v", err)
	}
	c.release()
}

// TestCrew runs many steps of many parts; each part runs once, even after the helpers slept.
func TestCrew(t *testing.T) {
	c := newCrew(4)
	defer c.close()
	for round := range 60 {
		if !c.acquire() {
			t.Fatal("the crew is taken")
		}
		for parts := range 12 {
			count := make([]int32, parts+1)
			st := &step{kernel: "count", parts: parts + 1, run: func(_ *frame, i int) error { count[i]++; return nil }}
			if err := st.all(&frame{}, c); err != nil {
				t.Fatal(err)
			}
			for i, n := range count {
				if n != 1 {
					t.Fatalf("part %d of %d ran %d times", i, parts+1, n)
				}
			}
		}
		c.release()
		if round%20 == 0 {
			for c.started && c.asleep.Load() < 3 {
				runtime.Gosched()
			}
		}
	}
}

// TestArena places random slots: those alive together never overlap, and the arena is no larger than
// the sum of all.
func TestArena(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var slots []*slot
		sum := 0
		for range 1 + rng.IntN(40) {
			first := rng.IntN(30)
			s := &slot{bytes: rng.IntN(5000), first: first, last: first + rng.IntN(8)}
			s.root = s
			slots = append(slots, s)
			sum += s.bytes + arenaSlack + arenaAlign
		}
		size := planArena(slots)
		if size > sum {
			t.Fatalf("%d bytes for slots of %d", size, sum)
		}
		for i, a := range slots {
			if a.offset%arenaAlign != 0 || a.offset+a.bytes+arenaSlack > size+arenaAlign {
				t.Fatalf("slot at %d, %d bytes, in an arena of %d", a.offset, a.bytes, size)
			}
			for _, b := range slots[:i] {
				if a.overlaps(b) && a.offset < b.offset+b.bytes && b.offset < a.offset+a.bytes {
					t.Fatalf("%+v and %+v overlap", a, b)
				}
			}
		}
	}
}

// TestViews returns an input, a constant, and views of an output; none shares memory with another.
func TestViews(t *testing.T) {
	k := newMaker(7)
	x := k.image(1, 3, 4, 5)
	same := k.node("Identity", []string{x})
	y := k.node("Relu", []string{x})
	k.m.Graph.SetConst("c", k.floats(3))
	k.output(same, y, k.node("Reshape", []string{y, k.constant(tensor.Vector(-1))}), k.node("Flatten", []string{y}), "c")
	s := k.compile(t, Options{})
	want := k.reference(t)
	for range 2 {
		got, err := s.Run(context.Background(), k.in)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			within(t, name, got[name], w, 0, 0)
		}
		for _, v := range got {
			clear(v.Raw)
		}
	}
	if v := tensor.Of[float32](k.in[x]); v[0] == 0 && v[1] == 0 {
		t.Error("an output shares the input's memory")
	}
}

// TestControl runs If and Loop whose conditions are known only at run time.
func TestControl(t *testing.T) {
	branch := func(op string) *graph.Graph {
		return &graph.Graph{Nodes: []*graph.Node{{Op: op, In: []string{"x"}, Out: []string{"r"}}}, Out: []*graph.Value{{Name: "r"}}}
	}
	for _, yes := range []bool{false, true} {
		k := newMaker(1)
		k.in["x"] = k.floats(2, 3)
		k.m.Graph.In = append(k.m.Graph.In, &graph.Value{Name: "x", Type: graph.TypeOf(k.in["x"])})
		cond := k.input(tensor.Wrap(tensor.Bool, []bool{yes}, 1))
		k.output(k.node("Neg", []string{k.node("If", []string{cond}, "then_branch", branch("Relu"), "else_branch", branch("Abs"))}))
		k.checkFloat(t)
	}
	for _, turns := range []int64{0, 1, 4} {
		k := newMaker(2)
		k.in["x"] = k.floats(2, 3)
		k.m.Graph.In = append(k.m.Graph.In, &graph.Value{Name: "x", Type: graph.TypeOf(k.in["x"])})
		body := &graph.Graph{
			Nodes: []*graph.Node{
				{Op: "Add", In: []string{"s", "x"}, Out: []string{"t"}}, {Op: "Identity", In: []string{"go"}, Out: []string{"on"}}, {Op: "Relu", In: []string{"t"}, Out: []string{"u"}},
			},
			In:  []*graph.Value{{Name: "i", Type: graph.Of(tensor.Int64)}, {Name: "go", Type: graph.Of(tensor.Bool)}, {Name: "s", Type: graph.Of(tensor.Float32, 2, 3)}},
			Out: []*graph.Value{{Name: "on"}, {Name: "t", Type: graph.Of(tensor.Float32, 2, 3)}, {Name: "u", Type: graph.Of(tensor.Float32, 2, 3)}},
		}
		n := &graph.Node{Op: "Loop", In: []string{k.input(tensor.Wrap(tensor.Int64, []int64{turns}, 1)), "", k.input(k.floats(2, 3))}, Out: []string{"last", "all"}}
		n.SetAttr("body", body)
		k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
		k.output("last", "all")
		wantKernels(t, k.checkFloat(t), "loop")
	}
}

// TestFunctionsInline puts the model's own functions in line, with their attributes.
func TestFunctionsInline(t *testing.T) {
	k := newMaker(1)
	k.m.Functions = []*graph.Function{{
		Name: "Twice", Domain: "own", In: []string{"a", "b"}, Out: []string{"z"}, AttrNames: []string{"slope"},
		Opsets: []graph.Opset{{Domain: "", Version: 17}},
		Nodes: []*graph.Node{
			{Op: "LeakyRelu", In: []string{"a"}, Out: []string{"t"}, Attrs: []*graph.Attr{{Name: "alpha", Ref: "slope", RefType: 1}}},
			{Op: "Add", In: []string{"t", "b"}, Out: []string{"z"}},
		},
	}}
	k.m.SetOpset("own", 1)
	x := k.image(1, 3, 4, 4)
	for i := range 2 {
		n := &graph.Node{Op: "Twice", Domain: "own", In: []string{x, x}, Out: []string{fmt.Sprint("f", i)}}
		n.SetAttr("slope", float32(0.25))
		k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
		x = n.Out[0]
	}
	k.output(x)
	wantKernels(t, k.checkFloat(t), "PRelu", "Add")
}

func TestProfile(t *testing.T) {
	k := small(5)
	rows, err := k.compile(t, Options{Threads: 1}).Profile(context.Background(), k.in, 3)
	if err != nil || len(rows) == 0 {
		t.Fatal(rows, err)
	}
	macs := int64(0)
	for _, r := range rows {
		macs += r.MACs
	}
	if want := int64(9*9*9*8*8 + 9*5); macs != want {
		t.Errorf("%d multiply-adds, not %d", macs, want)
	}
	if _, err := k.compile(t, Options{}).Profile(context.Background(), k.in, 0); fault.KindOf(err) != fault.Invalid {
		t.Errorf("error is %v", err)
	}
}

// TestTakesOver lets results take the memory of operands that nothing else reads.
func TestTakesOver(t *testing.T) {
	at := func(place place, bytes, first, last int) *slot {
		s := &slot{place: place, bytes: bytes, first: first, last: last}
		s.root = s
		return s
	}
	x, a, y := at(inArena, 8, 0, 2), at(inArena, 8, 1, 2), at(inArena, 8, 2, 5)
	st := &step{in: []*slot{x, a}, out: []*slot{y}, over: a}
	if !st.replaces(2) {
		t.Error("the operand dies here")
	}
	for name, wrong := range map[string]*step{
		"read later":     {in: []*slot{x, at(inArena, 8, 0, 3)}, out: []*slot{y}},
		"an input":       {in: []*slot{x, at(inInput, 8, 0, 2)}, out: []*slot{y}},
		"smaller":        {in: []*slot{x, at(inArena, 4, 0, 2)}, out: []*slot{y}},
		"read twice":     {in: []*slot{a, a}, out: []*slot{y}},
		"a result":       {in: []*slot{x, a}, out: []*slot{at(inOutput, 8, 2, 5)}},
		"a part of more": {in: []*slot{x, a}, out: []*slot{at(inArena, 8, 1, 5)}},
	} {
		wrong.over = wrong.in[1]
		if wrong.replaces(2) {
			t.Errorf("%s: replaced", name)
		}
	}
	view := at(inArena, 8, -1, 0)
	view.root, y.views = y, []*slot{view}
	y.takeOver(a)
	if y.root != a || view.root != a || len(a.views) != 2 || a.last != 5 {
		t.Errorf("%+v", a)
	}
}
