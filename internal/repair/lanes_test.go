package repair

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/testdata"
)

const header = `<ir_version: 10, opset_import: ["" : 21]>
`

// laneNets are networks whose free lanes may take any factor. free is how many roots are free.
var laneNets = []struct {
	name, text string
	free       int
}{
	{"chain through clamps of one side, pools and pads", `g (float[1,2,8,8] x) => (float[1,3,1,1] y) <float[4,2,3,3] w, float[4] b, float[3,4,1,1] v, int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}> {
  a = Conv <pads = [1, 1, 1, 1]> (x, w, b)
  r = Relu (a)
  p = Pad (r, pads)
  m = MaxPool <kernel_shape = [2, 2]> (p)
  k = AveragePool <kernel_shape = [2, 2]> (m)
  d = Conv (k, v)
  y = GlobalAveragePool (d)
}`, 4},
	{"depthwise between dense", `g (float[1,2,6,6] x) => (float[1,3,6,6] y) <float[4,2,1,1] w, float[4] b, float[4,1,3,3] dw, float[4] db, float[3,4,1,1] v> {
  a = Conv (x, w, b)
  r = Relu (a)
  d = Conv <group = 4, pads = [1, 1, 1, 1]> (r, dw, db)
  s = LeakyRelu <alpha = 0.1> (d)
  y = Conv (s, v)
}`, 8},
	{"grouped", `g (float[1,4,6,6] x) => (float[1,3,6,6] y) <float[4,4,1,1] w, float[6,2,1,1] gw, float[3,6,1,1] v> {
  a = Conv (x, w)
  d = Conv <group = 2> (a, gw)
  y = Conv (d, v)
}`, 10},
	{"residual", `g (float[1,2,6,6] x) => (float[1,3,6,6] y) <float[4,2,1,1] w, float[4,4,1,1] u, float[3,4,1,1] v, float[1,4,1,1] c, float[4,1,1] slope> {
  a = Conv (x, w)
  s = PRelu (a, slope)
  b = Conv (s, u)
  e = Add (b, a)
  f = Add (e, c)
  y = Conv (f, v)
}`, 4},
	{"concat and split", `g (float[1,2,6,6] x) => (float[1,3,6,6] y, float[1,1,6,6] z) <float[2,2,1,1] w, float[3,2,1,1] u, float[3,2,1,1] v, float[1,3,1,1] q, int64[2] parts = {2, 3}> {
  a = Conv (x, w)
  b = Conv (x, u)
  c = Concat <axis = 1> (a, b)
  d, e = Split <axis = 1> (c, parts)
  y = Conv (d, v)
  z = Conv (e, q)
}`, 5},
	{"squeeze and excitation", `g (float[1,2,6,6] x) => (float[1,3,6,6] y) <float[4,2,1,1] w, float[4,4,1,1] u, float[3,4,1,1] v> {
  a = Conv (x, w)
  p = GlobalAveragePool (a)
  h = Conv (p, u)
  s = Sigmoid (h)
  m = Mul (a, s)
  y = Conv (m, v)
}`, 4},
	{"normalization and products", `g (float[2,5,4] x) => (float[2,5,3] y) <float[4] gamma, float[4] beta, float[4,6] w, float[6] b, float[6,3] v> {
  n = LayerNormalization (x, gamma, beta)
  a = MatMul (n, w)
  s = Add (a, b)
  r = Relu (s)
  y = MatMul (r, v)
}`, 10},
	{"flattened images", `g (float[1,2,4,4] x) => (float[1,3] y) <float[4,2,1,1] w, float[3,4] v, float[3] c> {
  a = Conv (x, w)
  p = GlobalAveragePool (a)
  f = Flatten (p)
  y = Gemm <transB = 1> (f, v, c)
}`, 4},
	{"a transposed convolution and its upsampled input", `g (float[1,2,4,4] x) => (float[1,2,16,16] y) <float[4,2,1,1] w, float[4,3,2,2] t, float[3] tb, float[2,3,1,1] v, float[4] scales = {1, 1, 2, 2}> {
  a = Conv (x, w)
  r = Resize <mode = "linear"> (a, "", scales)
  d = ConvTranspose <strides = [2, 2]> (r, t, tb)
  y = Conv (d, v)
}`, 7},
	{"nothing passes a sigmoid or an output", `g (float[1,2,4,4] x) => (float[1,2,4,4] a, float[1,2,4,4] y) <float[2,2,1,1] w, float[2,2,1,1] u, float[2,2,1,1] v> {
  a = Conv (x, w)
  b = Conv (x, u)
  s = Sigmoid (b)
  y = Conv (s, v)
}`, 0},
	{"a subgraph reads the lanes", `g (float[1,2,4,4] x, bool c) => (float[1,2,4,4] y) <float[2,2,1,1] w, float[2,2,1,1] v> {
  a = Conv (x, w)
  s = If <then_branch = t () => (p) { p = Relu (a) }, else_branch = e () => (q) { q = Neg (a) }> (c)
  y = Conv (s, v)
}`, 0},
}

func TestLanes(t *testing.T) {
	for _, c := range laneNets {
		t.Run(c.name, func(t *testing.T) {
			m := parse(t, header+c.text)
			r := rand.New(rand.NewPCG(1, 2))
			for _, v := range m.Graph.Info { // constants that the text gives no elements of
				shape, _ := v.Type.Static()
				fill(m, r, v.Name, func(int) float64 { return 1 }, shape...)
			}
			checkScaled(t, m, r, c.free, 100)
		})
	}
}

// checkScaled multiplies every free lane by a random factor and holds the network to what it computed.
func checkScaled(t *testing.T, m *graph.Model, r *rand.Rand, free int, least float64) {
	t.Helper()
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	scaled := pass.Clone(m)
	l := FindLanes(scaled, facts)
	factors, n := make([]float64, len(l.parent)), 0
	for i := range factors {
		factors[i] = 1
		if l.root(i) == i && !l.fixed[i] && l.limit[i] == 0 {
			factors[i] = math.Exp(r.NormFloat64())
			n++
		}
	}
	if free >= 0 && n != free {
		t.Errorf("%d lanes are free, want %d", n, free)
	}
	l.Scale(factors)
	if len(m.Graph.Required()) > 1 {
		return // of the network with a condition, only the lanes are of interest
	}
	if db := sqnr(t, m, scaled, images(r, m, 2)); db < least {
		t.Errorf("scaled by random factors, the network changes by %.1f dB", db)
	}
}

func TestLanesOfModels(t *testing.T) {
	for _, name := range []string{"mobilenetv2/mobilenetv2.onnx", "mp-selfie-seg-landscape/model.onnx", "fastestdet/FastestDet.onnx", "resnet20-cifar10/resnet20-cifar10.onnx", "pfld-106-lite/pfld-106-lite.onnx", "mp-iris-landmark/model.onnx"} {
		t.Run(strings.Split(name, "/")[0], func(t *testing.T) {
			f, err := onnx.Open(testdata.Dir(t, "models", name), onnx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m := pass.Clone(f.Model)
			if err := pass.Prepare(m); err != nil {
				t.Fatal(err)
			}
			if err = pass.Upgrade(m, 13); err != nil {
				t.Fatal(err)
			}
			checkScaled(t, m, rand.New(rand.NewPCG(3, 4)), -1, 90)
		})
	}
}
