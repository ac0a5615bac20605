package repair

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// distilledNets are networks of the operators through which inputs are fitted: one row for each way that
// their gradients are computed. The values called n… are held against statistics.
var distilledNets = map[string]string{
	"norm": `g (float[1,3,5,4] x) => (float[1,3,5,4] n1) <float[3] a, float[3] b, float[3] c, float[3] var> {
  n1 = BatchNormalization (x, a, b, c, var)
}`,
	"rows": `g (float[1,6] x) => (float[1,4] n1) <float[4,6] w, float[4] a, float[4] b, float[4] c, float[4] var> {
  d = Gemm <transB = 1> (x, w)
  n1 = BatchNormalization (d, a, b, c, var)
}`,
	"residual": `g (float[1,4,6,6] x) => (float[1,8,3,3] n3) <float[8,4,3,3] w, float[8] b, float[8,2,3,3] u, float[8,1,3,3] v, float six> {
  n1 = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b)
  r = Relu (n1)
  d = Conv <group = 4, pads = [2, 2, 2, 2], dilations = [2, 2]> (r, u)
  q = Clip (d, , six)
  n2 = Add (q, r)
  n3 = Conv <group = 8, pads = [1, 1, 1, 1]> (n2, v)
}`,
	"shortcut": `g (float[1,2,6,5] x) => (float[1,6,3,3] n1) <int64[2] from = {0, 0}, int64[2] to = {99, 99}, int64[2] axes = {2, 3}, int64[2] by = {2, 2}, int64[8] pads = {0, 2, 0, 0, 0, 2, 0, 0}> {
  s = Slice (x, from, to, axes, by)
  n1 = Pad (s, pads)
}`,
	"shuffle": `g (float[1,6,4,4] x) => (float[1,3,4,4] n1, float[1,3,4,4] n2) <int64[5] apart = {1, 2, 3, 4, 4}, int64[4] again = {1, 6, 4, 4}> {
  a = Reshape (x, apart)
  t = Transpose <perm = [0, 2, 1, 3, 4]> (a)
  b = Reshape (t, again)
  n1, n2 = Split <axis = 1> (b)
}`,
	"halves": `g (float[1,6,4,4] x) => (float[1,3,4,4] n1) <int64[1] first = {0}, int64[1] two = {2}, int64[1] axis = {1}> {
  s = Shape (x)
  g = Gather (s, axis)
  h = Div (g, two)
  n1 = Slice (x, first, h, axis)
}`,
	"squeeze": `g (float[1,4,5,5] x) => (float[1,4,5,5] n2) <float[4,4,1,1] w, float[1,4,1,1] k, float half> {
  m = ReduceMean <axes = [2, 3]> (x)
  c = Conv (m, w)
  h = HardSigmoid (c)
  n1 = Mul (x, h)
  f = Mul (n1, k)
  g = Sub (half, f)
  e = Div (g, half)
  n2 = Add (e, m)
}`,
	"curves": `g (float[1,3,4,4] x) => (float[1,3,4,4] n6) <float[3,1,1] k> {
  n1 = LeakyRelu <alpha = 0.2> (x)
  n2 = HardSwish (n1)
  n3 = PRelu (x, k)
  n4 = Tanh (n3)
  n5 = Elu (x)
  s = Sigmoid (n5)
  p = Softplus (s)
  m = Mul (s, p)
  n6 = Sub (m, k)
}`,
	"pools": `g (float[1,3,6,6] x) => (float[1,7] n2) <float[4,3,1,1] w, float[5,28] u, float[5] b> {
  a = Conv (x, w)
  p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)
  q = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (x)
  c = Concat <axis = 1> (p, q)
  r = AveragePool <kernel_shape = [2, 2], strides = [1, 1]> (c)
  i = Identity (r)
  f = Flatten (i)
  n1 = Gemm <transB = 1> (f, u, b)
  z = ReduceMean <axes = [2, 3], keepdims = 0> (c)
  o = GlobalAveragePool (c)
  v = Flatten (o)
  n2 = Add (v, z)
}`,
	"line": `g (float[1,4,9] x) => (float[1,6,9] n1) <float[6,4,3] w, float[6] b> {
  n1 = Conv <pads = [1, 1]> (x, w, b)
}`,
}

// distillerOf prepares a network whose constants are random. The statistics of values called n… are random too.
func distillerOf(t *testing.T, text string, level kernel.Level, r *rand.Rand) (*Distiller, *graph.Model) {
	t.Helper()
	m := parse(t, header+text)
	for _, v := range m.Graph.Info {
		if shape, ok := v.Type.Static(); ok && m.Graph.Const(v.Name) == nil {
			k := normals(r, tensor.Elements(shape), 0.6)
			switch v.Name {
			case "var":
				for i := range k {
					k[i] = k[i]*k[i] + 0.1
				}
			case "half":
				k[0] = 0.5
			}
			m.Graph.SetConst(v.Name, tensor.Float32s(k, shape...))
		}
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	norms := map[string]pass.Norm{}
	for _, n := range m.Graph.Nodes {
		for _, name := range n.Out {
			if !strings.HasPrefix(name, "n") {
				continue
			}
			shape, _ := facts[name].Static()
			c := shape[1]
			v := pass.Norm{Mean: make([]float64, c), Dev: make([]float64, c), Share: make([]float64, c)}
			for i := range c {
				v.Mean[i], v.Dev[i], v.Share[i] = r.NormFloat64(), 0.5+r.Float64(), 0.5+0.5*r.Float64()
			}
			norms[name] = v
		}
	}
	d, err := NewDistiller(level, m, facts, "x", norms)
	if err != nil {
		t.Fatal(err)
	}
	if s := d.Shortfall(); s != "" || d.Reached() != len(norms) {
		t.Fatalf("%d of %d statistics: %s", d.Reached(), len(norms), s)
	}
	return d, m
}

// eachDistilled calls do for each of the networks, at the levels generic and best.
func eachDistilled(t *testing.T, do func(t *testing.T, d *Distiller, m *graph.Model, r *rand.Rand)) {
	best, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range distilledNets {
		for _, level := range []kernel.Level{kernel.Generic, best} {
			t.Run(name+" "+level.String(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(61, 62))
				d, m := distillerOf(t, text, level, r)
				do(t, d, m, r)
			})
		}
	}
}

// TestDistilledValues holds what is watched against the definitions of the operators.
func TestDistilledValues(t *testing.T) {
	eachDistilled(t, func(t *testing.T, d *Distiller, m *graph.Model, r *rand.Rand) {
		in := images(r, m, 1)[0]
		var names []string
		for name := range d.tape.cellOf {
			if strings.HasPrefix(name, "n") {
				names = append(names, name)
			}
		}
		want, err := op.Run(m, in(), op.Options{Outputs: names})
		if err != nil {
			t.Fatal(err)
		}
		l := d.tape.lane()
		l.resize(1)
		c := d.tape.cells[d.tape.in]
		for i, v := range tensor.Of[float32](in()["x"]) {
			l.x[d.tape.in][c.place(i)] = v
		}
		l.forward()
		for _, name := range names {
			at := d.tape.cellOf[name]
			for i, v := range tensor.Of[float32](want[name]) {
				if got := l.x[at][d.tape.cells[at].place(i)]; math.Abs(float64(got-v)) > 1e-4 {
					t.Fatalf("%s[%d] is %g, the network gives %g", name, i, got, v)
				}
			}
		}
	})
}

// TestDistilledGradients holds the gradient of the distance against differences.
func TestDistilledGradients(t *testing.T) {
	eachDistilled(t, func(t *testing.T, d *Distiller, m *graph.Model, r *rand.Rand) {
		var inputs []*tensor.Tensor
		for _, in := range images(r, m, 2) {
			inputs = append(inputs, in()["x"])
		}
		lo, hi := d.bounds(inputs, false)
		b := newBatch(d, inputs, Fitting{Threads: 1}, lo, hi)
		loss := func() float64 {
			all, err := b.look(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return b.distance(all, 2) * float64(2*len(b.x[0])*len(d.watches))
		}
		loss()
		for i := range b.x {
			var grad []float32
			b.borrow(i, true, func(l *lane) { grad = append(grad, b.gradient(l)...) })
			checkSlopes(t, "input", b.x[i], grad, loss, nil)
			loss()
		}
	})
}

// planted is a network whose statistics are those of inputs that differ from the ones to be fitted, with
// an operator behind a third normalization that has no gradient.
const planted = `g (float[1,3,8,8] x) => (float[1,8,8,8] n3) <float[8,3,3,3] w, float[8,8,3,3] u, float[8,8,3,3] v> {
  n1 = Conv <pads = [1, 1, 1, 1]> (x, w)
  r = Relu (n1)
  n2 = Conv <pads = [1, 1, 1, 1]> (r, u)
  c = CumSum (n2, two)
  n3 = Conv <pads = [1, 1, 1, 1]> (c, v)
}`

// plantedFit makes the network, its statistics and n inputs to fit.
func plantedFit(t *testing.T, n int) (d *Distiller, inputs []*tensor.Tensor) {
	t.Helper()
	m := parse(t, header+planted)
	r := rand.New(rand.NewPCG(63, 64))
	for name, shape := range map[string][]int{"w": {8, 3, 3, 3}, "u": {8, 8, 3, 3}, "v": {8, 8, 3, 3}} {
		fill(m, rand.New(rand.NewPCG(uint64(name[0]), 1)), name, func(int) float64 { return 0.3 }, shape...)
	}
	m.Graph.SetConst("two", tensor.Int64s([]int64{2}))
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	norms := map[string]pass.Norm{}
	for _, name := range []string{"n1", "n2", "n3"} {
		norms[name] = pass.Norm{Mean: make([]float64, 8), Dev: make([]float64, 8), Share: make([]float64, 8)}
	}
	const real = 40
	for range real {
		x := normals(r, 3*64, 0.7)
		for i := range x {
			x[i] += float32(i/64) - 0.5
		}
		out, err := op.Run(m, map[string]*tensor.Tensor{"x": tensor.Float32s(x, 1, 3, 8, 8)}, op.Options{Outputs: []string{"n1", "n2", "n3"}})
		if err != nil {
			t.Fatal(err)
		}
		for name, y := range out {
			for i, v := range tensor.Of[float32](y) {
				norms[name].Mean[i/64] += float64(v) / (64 * real)
				norms[name].Dev[i/64] += float64(v) * float64(v) / (64 * real)
			}
		}
	}
	for _, v := range norms {
		for i := range v.Dev {
			v.Dev[i], v.Share[i] = math.Sqrt(v.Dev[i]-v.Mean[i]*v.Mean[i]), 1
		}
	}
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	if d, err = NewDistiller(level, m, facts, "x", norms); err != nil {
		t.Fatal(err)
	}
	for range n {
		inputs = append(inputs, tensor.Float32s(normals(r, 3*64, 1.5), 1, 3, 8, 8))
	}
	return d, inputs
}

// TestDistil fits inputs to statistics: they come much nearer, within their bounds, and are the same whatever
// the number of threads and the memory.
func TestDistil(t *testing.T) {
	var want []byte
	for _, c := range []struct{ threads, kept int }{{1, distilKept}, {4, distilKept}, {1, 0}, {4, 0}} {
		d, inputs := plantedFit(t, 40)
		d.kept = c.kept
		lo, hi := d.bounds(inputs, true)
		steps := 0
		way, err := d.Fit(t.Context(), inputs, Fitting{Steps: 30, Bounded: true, Threads: c.threads, Progress: func(done, total int) {
			if steps++; done != steps || total != 60 {
				t.Errorf("step %d of %d, want %d of 60", done, total, steps)
			}
		}})
		if err != nil || way.After > way.Before/20 {
			t.Fatalf("%v, %v", way, err)
		}
		var got bytes.Buffer
		for _, x := range inputs {
			for i, v := range tensor.Of[float32](x) {
				if v < lo[i/64] || v > hi[i/64] {
					t.Fatalf("%g is out of bounds", v)
				}
			}
			got.Write(x.Raw)
		}
		if want == nil {
			want = got.Bytes()
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d threads, %d bytes kept: other inputs", c.threads, c.kept)
		}
	}
}

// TestDistilReach fits to what lies before an operator without a gradient, and names it.
func TestDistilReach(t *testing.T) {
	d, _ := plantedFit(t, 0)
	if s := d.Shortfall(); d.Reached() != 2 || !strings.Contains(s, "1 of 3") || !strings.Contains(s, "CumSum") {
		t.Errorf("%d, %q", d.Reached(), s)
	}
}

// TestDistilKeeps leaves inputs as they are where they come no nearer.
func TestDistilKeeps(t *testing.T) {
	d, inputs := plantedFit(t, 20)
	if _, err := d.Fit(t.Context(), inputs, Fitting{Steps: 60, Threads: 2, Progress: func(int, int) {}}); err != nil {
		t.Fatal(err)
	}
	was := append([]byte{}, inputs[3].Raw...)
	way, err := d.Fit(t.Context(), inputs, Fitting{Steps: 1, Threads: 2, Progress: func(int, int) {}}) // one step at the full rate overshoots
	if err != nil || way.After != way.Before || !bytes.Equal(was, inputs[3].Raw) {
		t.Errorf("%v, %v", way, err)
	}
}

// TestDistilTakenUp interrupts fitting after each batch and takes it up again: the same inputs come out, and a batch that
// was fitted is not fitted again.
func TestDistilTakenUp(t *testing.T) {
	const steps, batches = 10, 3
	run := func(n *notes) (way Distance, all []byte, done int, err error) {
		d, inputs := plantedFit(t, 70)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := Fitting{Steps: steps, Threads: 2, Progress: func(int, int) { done++ }}
		if n != nil {
			n.interrupt, f.Journal = cancel, n
		}
		way, err = d.Fit(ctx, inputs, f)
		for _, x := range inputs {
			all = append(all, x.Raw...)
		}
		return way, all, done, err
	}
	want, inputs, done, err := run(nil)
	if err != nil || done != steps*batches {
		t.Fatal(done, err)
	}
	for most := 1; most <= batches; most++ {
		n := &notes{at: map[string][]byte{}, most: most}
		if _, _, _, err := run(n); err == nil && most < batches {
			t.Fatalf("batch %d does not end it", most)
		}
		n.most = -1
		got, all, done, err := run(n)
		if err != nil || got != want || !bytes.Equal(all, inputs) || done != steps*(batches-most) {
			t.Errorf("taken up after %d batches: %v, want %v; the same inputs: %v; %d steps, %v", most, got, want, bytes.Equal(all, inputs), done, err)
		}
	}
}

// TestDistilStops minds its context.
func TestDistilStops(t *testing.T) {
	d, inputs := plantedFit(t, 4)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := d.Fit(ctx, inputs, Fitting{Steps: 1 << 30, Threads: 2, Progress: func(int, int) { cancel() }})
	if err == nil {
		t.Error("it went on")
	}
}
