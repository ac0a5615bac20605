package lowbit

import (
	"context"
	"slices"
	"testing"

	"lowbit/internal/engine"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
	"lowbit/internal/weight"
)

// tablesAndShapes is what a file holds besides codes and scales: tables of marks, which are shared,
// and shapes.
const tablesAndShapes = 4096

// TestFormats stores the weights of ResNet-20 in every format: the file is as small as the format
// promises, is read back as what it is, and the engine computes from it what the definitions of the
// operators say.
func TestFormats(t *testing.T) {
	m, err := Open(testdata.Dir(t, "models/resnet20-cifar10/resnet20-cifar10.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() }) // after the parallel cases
	in, err := npz.Open(testdata.Dir(t, "models/resnet20-cifar10/input.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	x, err := in.Read("input")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range format.All {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			testFormat(t, m, f, map[string]*Tensor{"input": x})
		})
	}
}

func testFormat(t *testing.T, m *Model, f *format.Format, in map[string]*Tensor) {
	_, q, r := written(t, m, f)
	checkStorage(t, f, m, r, q)
	s, err := engine.Compile(q, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := op.Run(q, in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		var d report.Diff
		d.Add(tensor.Of[float32](w), tensor.Of[float32](got[name]))
		if d.SQNR() < 90 { // float32 sums in another order
			t.Errorf("the engine differs from the definitions: %.1f dB", d.SQNR())
		}
	}
}

// checkStorage holds what a file stores against what the format promises: which formats are found in
// it, and how many bytes codes and scales take.
func checkStorage(t *testing.T, f *format.Format, m *Model, r *Result, q *graph.Model) {
	found := weight.Find(q)
	bits, weights := 0, 0
	for _, w := range found {
		if w.Format != f {
			t.Errorf("%s is read back as %s", w.Name, w)
		}
		bits += w.Bits()
		weights += len(w.Load().Codes)
	}
	if len(found) != 20 || weights != 268336 {
		t.Errorf("%d weights of %d nodes were found, not 268336 of 20", weights, len(found))
	}
	stored := 0
	x := q.Graph.Index()
	for _, c := range q.Graph.Consts() {
		if r.Plan.Value(c.Name) == nil && m.Graph().Graph.Const(c.Name) == nil && c.Tensor.Rank() > 0 && !isBias(x.Uses(c.Name)[0].Node.Op, c.Tensor) {
			stored += c.Tensor.Bytes()
		}
	}
	if want := bits / 8; stored < want*99/100 || stored > want*103/100+tablesAndShapes {
		t.Errorf("%d bytes of codes and scales, the format promises %d", stored, want)
	}
}

// TestFormatSizes holds the file of MobileNetV2 in each format against the sum of what the format promises for its
// weights, scales included, and of the rest of the float file: its nodes, names and biases. All that spells a weight
// comes on top: nodes, the names and dimensions of more constants, tables of marks, zero points.
func TestFormatSizes(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 26 files")
	}
	m, err := Open(testdata.Dir(t, "models/mobilenetv2/mobilenetv2.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	float, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range format.All {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			b, q, _ := written(t, m, f)
			bits, weights := 0, 0
			for _, w := range weight.Find(q) {
				bits, weights = bits+w.Bits(), weights+len(w.Codes)
			}
			promised, rest := bits/8, int(float)-4*weights
			over := float64(len(b))/float64(promised+rest) - 1
			t.Logf("%d bytes: %d of weights, %d of the network, %.2f %% on top", len(b), promised, rest, 100*over)
			if over > 0.03 {
				t.Errorf("%d bytes are %.2f %% more than %d of weights and %d of the network", len(b), 100*over, promised, rest)
			}
		})
	}
}

// written quantizes the weights of a network alone, and returns the file, what is read back from it, and the result.
func written(t *testing.T, m *Model, f *format.Format) ([]byte, *graph.Model, *Result) {
	t.Helper()
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	set.Mode = plan.Weights
	set.Weights = plan.Scheme{Format: f, Block: set.Mode.WeightBlock(f)}
	r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := onnx.Encode(r.Model.Graph())
	if err != nil {
		t.Fatal(err)
	}
	q, err := onnx.Decode(b, onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return b, q, r
}

// isBias says whether a constant is added to the result of a product.
func isBias(reader string, t *tensor.Tensor) bool {
	return t.Rank() == 1 && slices.Contains([]string{"Conv", "Gemm"}, reader)
}

// TestSchemes quantizes by every scheme that needs no samples.
func TestSchemes(t *testing.T) {
	m, err := Open(testdata.Dir(t, "models/resnet20-cifar10/resnet20-cifar10.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for scheme, most := range map[string]float64{"W4A16": 0.18, "FP16": 0.51, "BF16": 0.51} {
		set, err := plan.Default(scheme)
		if err != nil {
			t.Fatal(err)
		}
		r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Threads: 1})
		if err != nil {
			t.Fatal(scheme, err)
		}
		after, err := r.Model.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if ratio := float64(after) / float64(before); ratio > most {
			t.Errorf("%s: %.1f %% of the float file", scheme, 100*ratio)
		}
		if r.Plan.Quantized() < 20 {
			t.Errorf("%s: %d nodes", scheme, r.Plan.Quantized())
		}
	}
}
