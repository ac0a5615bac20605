package lowbit

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/tensor"
)

// Networks that are damaged byte by byte: small, and of operators that differ in what they trust.
var damaged = []struct {
	name  string
	quick int // every how many bytes are changed where time is short
	text  string
}{
	{"convolutions", 1, `<ir_version: 8, opset_import: ["" : 13]>
g (float[N,2,6,6] x) => (float[N,3] y)
<float[4,2,3,3] w = {%72f}, float[4] b = {0.1,-0.2,0.3,0}, float[4] scale = {1,0.5,2,1}, float[4] mean = {0,0.1,0,0}, float[4] var = {1,1,0.5,2},
 float[3,16] fc = {%48f}, float[3] fb = {0,1,-1}, int64[2] pads = {1,1}>
{
  c = Conv<kernel_shape = [3,3], pads = [1,1,1,1], strides = [1,1]>(x, w, b)
  n = BatchNormalization<epsilon = 0.001>(c, scale, b, mean, var)
  r = Relu(n)
  p = MaxPool<kernel_shape = [3,3], strides = [3,3]>(r)
  f = Flatten(p)
  g1 = Gemm<transB = 1>(f, fc, fb)
  y = Softmax<axis = -1>(g1)
}`},
	{"shapes", 1, `<ir_version: 8, opset_import: ["" : 17]>
g (float[2,4] x, int64[1] k) => (float[a,b] y, float[c] z)
<int64[2] to = {4,-1}, int64[1] one = {1}, int64[1] zero = {0}, int64[2] two = {2,1}, float[4,3] w = {%12f}>
{
  s = Shape(x)
  t = Gather(s, zero)
  r = Reshape(x, to)
  e = Transpose<perm = [1,0]>(r)
  m = MatMul(e, w)
  c = Concat<axis = 0>(m, m)
  sl = Slice(c, zero, k, zero)
  v, i = TopK<axis = 1>(sl, one)
  ex = Expand(v, s)
  y = Tile(ex, two)
  rng = Cast<to = 1>(t)
  z = Unsqueeze(rng, zero)
}`},
	{"control flow", 1, `<ir_version: 8, opset_import: ["" : 17]>
g (float[3] x, bool cond) => (float[3] y, float[n,3] all)
<int64 trips = {4}, bool yes = {1}, float[3] start = {1,2,3}, float[3,3] w = {%9f}>
{
  a = If (cond) <then_branch = t () => (float[3] p) { p = Neg(x) }, else_branch = e () => (float[3] q) { q = Add(x, start) }>
  y, all = Loop (trips, yes, a) <body = l (int64 i, bool c, float[3] s) => (bool d, float[3] u, float[3] o) { d = Identity(c)  m = MatMul(s, w)  u = Mul(m, start)  o = Identity(u) }>
}`},
	{"codes", 1, `<ir_version: 8, opset_import: ["" : 13]>
g (float[1,2,4,4] x) => (float[1,2,4,4] y)
<float xs = {0.02}, uint8 xz = {128}, int8[2,2,1,1] w = {1,-2,3,4}, float[2] ws = {0.1,0.2}, int8[2] wz = {0,0}, float ys = {0.05}, uint8 yz = {100}>
{
  q = QuantizeLinear(x, xs, xz)
  d = DequantizeLinear(q, xs, xz)
  wd = DequantizeLinear<axis = 0>(w, ws, wz)
  c = Conv(d, wd)
  cq = QuantizeLinear(c, ys, yz)
  y = DequantizeLinear(cq, ys, yz)
}`},
	{"recurrence and functions", 1, `<ir_version: 8, opset_import: ["" : 17, "my" : 1]>
g (float[3,1,2] x) => (float[3,1,1,2] y, float[3,2] z)
<float[1,8,2] w = {%16f}, float[1,8,2] r = {%16f}, float[1,16] b = {%16f}, float[2] gain = {1,2}, float[2] bias = {0,1}>
{
  y = LSTM<hidden_size = 2>(x, w, r, b)
  s = Squeeze(x)
  z = my.norm(s, gain, bias)
}
<domain: "my", opset_import: ["" : 17]>
norm (x, g, b) => (y)
{
  n = LayerNormalization<axis = -1>(x, g, b)
  y = Tanh(n)
}`},
	{"ten kilobytes", 9, `<ir_version: 8, opset_import: ["" : 13]>
g (float[1,3,8,8] x) => (float[1,10] y)
<float[16,3,3,3] w1 = {%432f}, float[16] b1 = {%16f}, float[8,16,1,1] w2 = {%128f}, float[1280,1] flat = {%1280f}, int64[2] to = {128,10}>
{
  c1 = Conv<strides = [2,2], pads = [1,1,1,1]>(x, w1, b1)
  r1 = Relu(c1)
  c2 = Conv(r1, w2)
  r2 = Sigmoid(c2)
  f = Flatten(r2)
  w = Reshape(flat, to)
  y = MatMul(f, w)
}`},
}

// damagedBytes encodes a network. %Nf stands for N numbers.
func damagedBytes(t testing.TB, text string) []byte {
	t.Helper()
	for {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			break
		}
		n, end := 0, i
		fmt.Sscanf(text[i:], "%%%df", &n)
		end += strings.IndexByte(text[i:], 'f') + 1
		var list []string
		for k := range n {
			list = append(list, fmt.Sprintf("%.3g", float64((k*37+11)%19-9)/8))
		}
		text = text[:i] + strings.Join(list, ",") + text[end:]
	}
	m, err := graph.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pipeline does to a file what the commands do: open, infer, run on the reference and in the engine
// with made-up inputs, quantize the weights, write. It returns the kind of the first error, and says
// whether results have the types that inference promised.
func pipeline(b []byte) error {
	m, err := Decode(b)
	if err != nil {
		return err
	}
	in, err := madeUp(m.Graph().Graph.Required())
	if err != nil {
		return err
	}
	facts, err := op.Infer(m.Graph(), nil)
	if err != nil {
		return err
	}
	for name, f := range facts {
		if shape, ok := f.Type.Static(); ok && tensor.Elements(shape) > 1<<20 {
			return fault.Limitf(name, "%s is more than is computed here", f.Type)
		}
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Millisecond, fault.Limitf("", "a loop of many rounds"))
	defer cancel()
	for _, reference := range []bool{true, false} {
		s, err := m.Compile(CompileOptions{Threads: 1, Reference: reference})
		if err != nil {
			return err
		}
		defer s.Close()
		out, err := s.Run(ctx, in)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		for _, v := range s.Outputs() {
			if got, want := graph.TypeOf(out[v.Name]), facts[v.Name].Type; !want.Accepts(got) {
				return fmt.Errorf("output %q is %s, inferred as %s", v.Name, got, want)
			}
		}
	}
	set, err := plan.Default("W8A8")
	if err != nil {
		return err
	}
	set.Mode = plan.Weights
	r, err := QuantizeBy(ctx, m, quantize.Options{Settings: set, Threads: 1, AllowRequantize: true})
	if err != nil {
		return err
	}
	_, err = onnx.Encode(r.Model.Graph())
	return err
}

// madeUp makes small inputs: open axes have two places.
func madeUp(inputs []*graph.Value) (map[string]*Tensor, error) {
	in := map[string]*Tensor{}
	for _, v := range inputs {
		if !v.Type.IsTensor() || !v.Type.Ranked {
			return nil, fault.Unsupportedf(v.Name, "no inputs are made for %s", v.Type)
		}
		shape := []int{}
		for _, d := range v.Type.Shape {
			shape = append(shape, max(0, min(d.Size, 1<<40)))
			if !d.IsKnown() {
				shape[len(shape)-1] = 2
			}
		}
		n, err := tensor.CheckedElements(shape)
		if err != nil || n > 1<<16 {
			return nil, fault.Limitf(v.Name, "%v are more inputs than are made", shape)
		}
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(i%3) / 2
			if !v.Type.DType.IsFloat() {
				x[i] = 1
			}
		}
		if in[v.Name], err = format.FromFloats(v.Type.DType, x, false, shape...); err != nil {
			return nil, fault.Unsupportedf(v.Name, "%v", err)
		}
	}
	return in, nil
}

// expect runs the pipeline and holds its end against what a command may exit with: 0, 2, 3 or 4.
func expect(t *testing.T, name string, b []byte, count map[fault.Kind]int) {
	t.Helper()
	start := time.Now()
	var err error
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		err = pipeline(b)
	}()
	if took := time.Since(start); took > 10*time.Second { // a second is promised, of a machine with nothing else to do
		t.Errorf("%s: takes %v", name, took)
	}
	kind := fault.KindOf(err)
	if err != nil && !slices.Contains([]fault.Kind{fault.Invalid, fault.Unsupported, fault.Limit}, kind) {
		t.Errorf("%s: %v", name, err)
	}
	if err != nil && (err.Error() == "" || strings.Contains(err.Error(), "\n")) {
		t.Errorf("%s: the message %q is not one line", name, err)
	}
	if err == nil {
		kind = fault.Gate // counts what passes
	}
	count[kind]++
}

// stride thins out the cases of a test where time is short.
func stride(quick int) int {
	switch {
	case os.Getenv("LOWBIT_TEST_FULL") != "":
		return 1
	case testing.Short():
		return 7 * quick
	}
	return quick
}

// TestPrefixes cuts every network short at every length.
func TestPrefixes(t *testing.T) {
	for _, c := range damaged {
		whole := damagedBytes(t, c.text)
		count := map[fault.Kind]int{}
		for n := 0; n < len(whole); n += stride(c.quick) {
			expect(t, fmt.Sprintf("%s: first %d of %d bytes", c.name, n, len(whole)), whole[:n], count)
		}
		t.Logf("%s: %d bytes, %v", c.name, len(whole), count)
		if passed := count[fault.Gate]; passed > 2 { // a cut between two fields at the end of the file may leave a whole model
			t.Errorf("%s: %d cut files pass", c.name, passed)
		}
		if err := pipeline(whole); err != nil {
			t.Errorf("%s: the whole file: %v", c.name, err)
		}
	}
}

// TestFlips changes every byte of every network, one at a time, in three ways.
func TestFlips(t *testing.T) {
	for _, c := range damaged {
		whole := damagedBytes(t, c.text)
		count := map[fault.Kind]int{}
		b := slices.Clone(whole)
		for i := 0; i < len(b); i += stride(c.quick) {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				b[i] ^= mask
				expect(t, fmt.Sprintf("%s: byte %d ^ %#x", c.name, i, mask), b, count)
				b[i] = whole[i]
			}
		}
		t.Logf("%s: %d bytes, %v", c.name, len(whole), count)
	}
}
