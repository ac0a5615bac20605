package conform

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

func floats32(v ...float32) *tensor.Tensor { return tensor.Float32s(v, len(v)) }

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f16 := func(codes ...uint16) *tensor.Tensor { return tensor.Wrap(tensor.Float16, codes, len(codes)) }
	tol := Tolerance{Rel: 1e-3, Abs: 1e-7}
	for _, c := range []struct {
		name      string
		got, want *tensor.Tensor
		tol       Tolerance
		ok        bool
	}{
		{"equal", floats32(1, 2), floats32(1, 2), Tolerance{}, true},
		{"within", floats32(1000), floats32(1000.9), tol, true},
		{"beyond", floats32(1000), floats32(1001.1), tol, false},
		{"relative to the wanted", floats32(0.002), floats32(0), tol, false},
		{"of the largest value", floats32(0.009, 100), floats32(0, 100), Tolerance{Scale: 1e-4}, true},
		{"infinity is no scale", floats32(1, inf), floats32(0, inf), Tolerance{Scale: 1e-4}, false},
		{"NaN equals NaN", floats32(nan), floats32(nan), tol, true},
		{"NaN is no number", floats32(nan), floats32(0), tol, false},
		{"infinities", floats32(inf), floats32(inf), tol, true},
		{"other infinity", floats32(-inf), floats32(inf), tol, false},
		{"largest float is not infinity", floats32(math.MaxFloat32), floats32(inf), tol, false},
		{"other shape", tensor.Float32s([]float32{1}, 1, 1), floats32(1), tol, false},
		{"other type", tensor.Vector(1), floats32(1), tol, false},
		{"half", f16(0x3c00), f16(0x3c01), tol, true},
		{"half beyond", f16(0x3c00), f16(0x3c02), tol, false},
		{"strings", tensor.Strings([]string{"a"}, 1), tensor.Strings([]string{"b"}, 1), tol, false},
		{"complex", tensor.Wrap(tensor.Complex64, []complex64{1 + 2i}, 1), tensor.Wrap(tensor.Complex64, []complex64{1 + 3i}, 1), tol, false},
		{"sequence", tensor.NewSequence(tensor.Float32, floats32(1)), tensor.NewSequence(tensor.Float32, floats32(1)), tol, true},
		{"shorter sequence", tensor.NewSequence(tensor.Float32), tensor.NewSequence(tensor.Float32, floats32(1)), tol, false},
		{"item of a sequence", tensor.NewSequence(tensor.Float32, floats32(1)), tensor.NewSequence(tensor.Float32, floats32(2)), tol, false},
		{"bare value of an optional", floats32(1), tensor.NewOptional(tensor.Float32, floats32(1)), tol, false},
	} {
		if err := Compare(c.got, c.want, c.tol); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	err := Compare(floats32(1, 5, 9), floats32(1, 2, 3), tol)
	if want := "2 of 3 elements differ, by up to 6; element 1 is 5, want 2"; err == nil || err.Error() != want {
		t.Errorf("message %v, want %q", err, want)
	}
}

func TestParseKnown(t *testing.T) {
	got := parseKnown("# words\n\na why not\n b  because \n")
	if len(got) != 2 || got["a"] != "why not" || got["b"] != "because" {
		t.Errorf("%q", got)
	}
	for name, reason := range Known() {
		if len(reason) < 10 {
			t.Errorf("%s has no reason", name)
		}
	}
}

// oneNode is a model y = op(x).
func oneNode(op string) *graph.Model {
	x := graph.OfDims(tensor.Float32, []graph.Dim{graph.Symbol("N")})
	return &graph.Model{IR: 10, Opsets: []graph.Opset{{Version: 17}}, Graph: &graph.Graph{
		Name:  "g",
		Nodes: []*graph.Node{{Op: op, In: []string{"x"}, Out: []string{"y"}}},
		In:    []*graph.Value{{Name: "x", Type: x}}, Out: []*graph.Value{{Name: "y", Type: x}},
	}}
}

func write(t *testing.T, path string, b []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// writeFolder stores a case in the form of ONNX's own.
func writeFolder(t *testing.T, dir, op string, in, out *tensor.Tensor) {
	t.Helper()
	b, err := onnx.Encode(oneNode(op))
	write(t, filepath.Join(dir, "model.onnx"), b, err)
	b, err = onnx.EncodeTensor("x", in)
	write(t, filepath.Join(dir, "test_data_set_0", "input_0.pb"), b, err)
	b, err = onnx.EncodeTensor("y", out)
	write(t, filepath.Join(dir, "test_data_set_0", "output_0.pb"), b, err)
}

// writePair stores a case as NAME.onnx beside NAME.npz.
func writePair(t *testing.T, stem, op string, arrays ...npz.Array) {
	t.Helper()
	b, err := onnx.Encode(oneNode(op))
	write(t, stem+".onnx", b, err)
	if len(arrays) == 0 {
		return
	}
	var buf strings.Builder
	err = npz.Write(&buf, arrays)
	write(t, stem+".npz", []byte(buf.String()), err)
}

// TestRun walks through every way in which a case may end.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	writeFolder(t, filepath.Join(dir, "a", "right"), "Neg", floats32(1), floats32(-1))
	writeFolder(t, filepath.Join(dir, "a", "wrong"), "Neg", floats32(1), floats32(1))
	writeFolder(t, filepath.Join(dir, "a", "listed"), "Nope", floats32(1), floats32(1))
	writeFolder(t, filepath.Join(dir, "a", "listed_passes"), "Neg", floats32(1), floats32(-1))
	writePair(t, filepath.Join(dir, "b", "pair"), "Abs", npz.Array{Name: "in:x", Tensor: floats32(-2)}, npz.Array{Name: "out:y", Tensor: floats32(2)})
	writePair(t, filepath.Join(dir, "b", "odd_key"), "Abs", npz.Array{Name: "x", Tensor: floats32(-2)})
	writePair(t, filepath.Join(dir, "b", "bare"), "Abs")
	writePair(t, filepath.Join(dir, "b", "crash"), "Tan", npz.Array{Name: "in:x", Tensor: floats32(-2)}, npz.Array{Name: "out:y", Tensor: floats32(2)})
	write(t, filepath.Join(dir, "b", "junk.onnx"), []byte{1}, nil)
	write(t, filepath.Join(dir, "b", "junk.npz"), []byte{1}, nil)
	cases, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	crash := func(ctx context.Context, m *graph.Model, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
		if m.Graph.Nodes[0].Op == "Tan" {
			panic("no tangent")
		}
		return Reference(ctx, m, in)
	}
	seen := 0
	rep, err := Run(context.Background(), cases, Options{Runner: crash, Each: func(Result) { seen++ },
		Known: map[string]string{"listed": "there is no such operator", "listed_passes": "no reason"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name    string
		outcome Outcome
		message string // a part of it
	}{
		{"right", Passed, ""},
		{"wrong", Failed, `output "y": 1 of 1 elements differ`},
		{"listed", Skipped, "there is no such operator"},
		{"listed_passes", Failed, "is listed as a known failure"},
		{"pair", Passed, ""},
		{"odd_key", Failed, "neither in:NAME nor out:NAME"},
		{"bare", Skipped, "no test data"},
		{"crash", Failed, "panic: no tangent"},
		{"junk", Failed, "junk.onnx"},
	} {
		found := false
		for _, r := range rep.Cases {
			if r.Name == want.name {
				found = true
				if r.Outcome != want.outcome || !strings.Contains(r.Message, want.message) {
					t.Errorf("%s: %s %q", r.Name, r.Outcome, r.Message)
				}
			}
		}
		if !found {
			t.Errorf("%s was not run", want.name)
		}
	}
	if rep.Passed != 2 || rep.Failed != 5 || rep.Skipped != 2 || seen != 9 {
		t.Errorf("%d passed, %d failed, %d skipped, %d seen", rep.Passed, rep.Failed, rep.Skipped, seen)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, []Case{{Name: "x"}}, Options{}); err != context.Canceled {
		t.Errorf("error %v", err)
	}
}

func TestFindMissingFolder(t *testing.T) {
	if _, err := Find(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error")
	}
}

// TestRandomCases wants a random operator to be held by type and shape alone, whatever its seed.
func TestRandomCases(t *testing.T) {
	dir := t.TempDir()
	m := oneNode("RandomNormalLike")
	m.Graph.Nodes[0].SetAttr("seed", float32(3))
	for name, want := range map[string]*tensor.Tensor{"same_shape": floats32(1, 2), "other_shape": floats32(1)} {
		b, err := onnx.Encode(m)
		write(t, filepath.Join(dir, name+".onnx"), b, err)
		var buf strings.Builder
		err = npz.Write(&buf, []npz.Array{{Name: "in:x", Tensor: floats32(0, 0)}, {Name: "out:y", Tensor: want}})
		write(t, filepath.Join(dir, name+".npz"), []byte(buf.String()), err)
	}
	cases, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Run(context.Background(), cases, Options{})
	if err != nil || rep.Passed != 1 || rep.Failed != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}
