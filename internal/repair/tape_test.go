package repair

import (
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// taped are networks of the operators that have gradients, one row for each way that these are computed.
var taped = map[string]string{
	"kernel": `g (float[1,3,6,5] x) => (float[1,4,3,3] y) <float[4,3,3,3] w, float[4] b> {
  y = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b)
}`,
	"dilated": `g (float[1,2,7,7] x) => (float[1,3,4,4] y) <float[3,2,3,3] w> {
  y = Conv <pads = [1, 0, 0, 1], dilations = [2, 2]> (x, w)
}`,
	"groups": `g (float[1,4,5,5] x) => (float[1,6,5,5] y) <float[6,2,3,3] w, float[6] b> {
  y = Conv <pads = [1, 1, 1, 1], group = 2> (x, w, b)
}`,
	"line": `g (float[1,4,9] x) => (float[1,6,9] y) <float[6,4,3] w, float[6] b> {
  y = Conv <pads = [1, 1]> (x, w, b)
}`,
	"residual": `g (float[1,3,6,6] x) => (float[1,3,6,6] y) <float[8,3,1,1] w, float[8] b, float[8,1,3,3] u, float[8] c, float[3,8,1,1] v, float zero, float six> {
  a = Conv (x, w, b)
  r = Relu (a)
  d = Conv <group = 8, pads = [1, 1, 1, 1]> (r, u, c)
  q = Clip (d, zero, six)
  e = Conv (q, v)
  y = Add (e, x)
}`,
	"strided": `g (float[1,3,7,7] x) => (float[1,8,4,4] y) <float[8,3,1,1] w, float[8,1,3,3] u> {
  a = Conv (x, w)
  y = Conv <group = 8, pads = [1, 1, 1, 1], strides = [2, 2]> (a, u)
}`,
	"fire": `g (float[1,3,6,6] x) => (float[1,7,3,3] y) <float[4,3,1,1] w, float[3,4,1,1] u, float[4,4,3,3] v> {
  s = Conv (x, w)
  a = Conv (s, u)
  b = Conv <pads = [1, 1, 1, 1]> (s, v)
  c = Concat <axis = 1> (a, b)
  y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
}`,
	"head": `g (float[1,3,6,6] x) => (float[1,5] y) <float[4,3,1,1] w, float[5,4] u, float[5] b> {
  a = Conv (x, w)
  s = Sigmoid (a)
  m = Mul (a, s)
  p = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (m)
  g = GlobalAveragePool (p)
  f = Flatten (g)
  y = Gemm <transB = 1> (f, u, b)
}`,
	"products": `g (float[4,6] x) => (float[4,3] y) <float[6,5] w, float[5] b, float[5,3] u> {
  a = MatMul (x, w)
  s = Add (a, b)
  r = Relu (s)
  y = MatMul (r, u)
}`,
}

// tapeOf puts a whole network on a tape, its constants drawn at random.
func tapeOf(t *testing.T, text string, level kernel.Level, r *rand.Rand) (*taper, *graph.Model) {
	t.Helper()
	m := parse(t, header+text)
	for _, v := range m.Graph.Info {
		shape, _ := v.Type.Static()
		k := normals(r, tensor.Elements(shape), 0.6)
		switch v.Name {
		case "zero":
			k[0] = 0
		case "six":
			k[0] = 0.7
		}
		m.Graph.SetConst(v.Name, tensor.Float32s(k, shape...))
	}
	s := &section{nodes: m.Graph.Nodes, in: "x", out: "y"}
	shape, _ := m.Graph.Required()[0].Type.Static()
	b := newTape(level, s, m.Graph, m.Graph.Index(), nil, shape, false)
	if b == nil {
		t.Fatal("it has no tape")
	}
	return b, m
}

// TestTapeGradients holds the gradients of all constants and of the input against differences.
func TestTapeGradients(t *testing.T) {
	best, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range taped {
		for _, level := range []kernel.Level{kernel.Generic, best} {
			t.Run(name+" "+level.String(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(51, 52))
				b, _ := tapeOf(t, text, level, r)
				for _, s := range b.steps {
					if a, ok := s.(*affine); ok {
						a.first = false
					}
				}
				l := b.lane()
				l.resize(2)
				in := l.x[b.tape.in]
				copy(in, normals(r, len(in), 1))
				by := normals(r, len(l.x[b.tape.out]), 1)
				loss := func() float64 {
					l.forward()
					sum := 0.0
					for i, v := range l.x[b.tape.out] {
						sum += float64(v) * float64(by[i])
					}
					return sum
				}
				loss()
				copy(l.d[b.tape.out], by)
				l.backward()
				for k, n := range b.knobs {
					n.x = n.x[:len(n.x):len(n.x)]
					checkSlopes(t, name, n.x, append([]float32{}, l.grads[k]...), loss, n.changed)
				}
				checkSlopes(t, "input", in, append([]float32{}, l.d[b.tape.in]...), loss, nil)
			})
		}
	}
}

// checkSlopes moves some numbers a little to both sides. Where a kink lies between, the slopes to the
// two sides differ, and the gradient has to lie between them.
func checkSlopes(t *testing.T, what string, x, grad []float32, loss func() float64, changed func()) {
	t.Helper()
	const by = 1.0 / 256
	at := func(i int, v float32) float64 {
		x[i] = v
		if changed != nil {
			changed()
		}
		return loss()
	}
	for _, i := range picks(len(x), 12) {
		was := x[i]
		mid, up, down := at(i, was), at(i, was+by), at(i, was-by)
		at(i, was)
		right, left := (up-mid)/by, (mid-down)/by
		slack := 2e-2 + 1e-2*math.Abs(float64(grad[i]))
		if g := float64(grad[i]); g < min(left, right)-slack || g > max(left, right)+slack {
			t.Errorf("%s[%d]: gradient %.4f, slopes %.4f and %.4f", what, i, g, left, right)
		}
	}
}

// TestTapeForward holds a tape against the engine.
func TestTapeForward(t *testing.T) {
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range taped {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(53, 54))
			b, m := tapeOf(t, text, level, r)
			x := images(r, m, 1)[0]()
			j := &Job{Level: level}
			want := outputsOf(t, m, x)["y"]
			l := b.lane()
			l.resize(1)
			spatial := (&section{nodes: m.Graph.Nodes}).spatial()
			copy(l.x[b.tape.in], tensor.Of[float32]((&learner{job: j}).channelsLast(x["x"], spatial)))
			l.forward()
			for i, v := range tensor.Of[float32]((&learner{job: j}).channelsLast(want, spatial)) {
				if got := l.x[b.tape.out][i]; math.Abs(float64(got-v)) > 1e-4 {
					t.Fatalf("element %d: %g, the network gives %g", i, got, v)
				}
			}
		})
	}
}
