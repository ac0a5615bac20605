package engine

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// openModel reads the one model of a folder of test models.
func openModel(t testing.TB, dir string) *graph.Model {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s: %d models, %v", dir, len(paths), err)
	}
	f, err := onnx.Open(paths[0], onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Model
}

// arrays reads the tensors of an npz file.
func arrays(t testing.TB, path string) map[string]*tensor.Tensor {
	t.Helper()
	list, err := npz.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]*tensor.Tensor{}
	for _, a := range list {
		m[a.Name] = a.Tensor
	}
	return m
}

// eachModel calls do for the folder of every test model.
func eachModel(t *testing.T, do func(t *testing.T, dir string)) {
	root := testdata.Dir(t, "models")
	dirs, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.IsDir() {
			t.Run(d.Name(), func(t *testing.T) { do(t, filepath.Join(root, d.Name())) })
		}
	}
}

// TestModels holds every test model against the outputs that ONNX Runtime gave.
func TestModels(t *testing.T) {
	eachModel(t, func(t *testing.T, dir string) {
		s, err := Compile(openModel(t, dir), Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		want := arrays(t, filepath.Join(dir, "output.npz"))
		for range 2 { // the second run has a used frame
			got, err := s.Run(context.Background(), arrays(t, filepath.Join(dir, "input.npz")))
			if err != nil {
				t.Fatal(err)
			}
			for name, w := range want {
				within(t, name, got[name], w, 1e-3, 1e-4)
			}
		}
	})
}

// within compares floats: rtol of each element, and atol of the largest one. Other types must be equal.
func within(t *testing.T, name string, got, want *tensor.Tensor, rtol, atol float64) {
	t.Helper()
	if got == nil || got.String() != want.String() {
		t.Fatalf("%s is %v, not %v", name, got, want)
	}
	if want.DType != tensor.Float32 {
		if string(got.Raw) != string(want.Raw) {
			t.Errorf("%s differs", name)
		}
		return
	}
	g, w := tensor.Of[float32](got), tensor.Of[float32](want)
	top := 0.0
	for _, v := range w {
		top = max(top, math.Abs(float64(v)))
	}
	bad, worst := 0, 0.0
	for i := range w {
		d := math.Abs(float64(g[i]) - float64(w[i]))
		if !(d <= rtol*math.Abs(float64(w[i]))+atol*top) && g[i] != w[i] {
			bad++
			worst = max(worst, d)
		}
	}
	if bad > 0 {
		t.Errorf("%s: %d of %d elements differ, by up to %g where the largest is %g", name, bad, len(w), worst, top)
	}
}

// TestDirtyMemory runs every test model in new memory and in what others left, which must not show.
func TestDirtyMemory(t *testing.T) {
	eachModel(t, func(t *testing.T, dir string) {
		m, in := openModel(t, dir), arrays(t, filepath.Join(dir, "input.npz"))
		var want map[string]*tensor.Tensor
		for round := range 3 {
			s, err := Compile(m, Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.Run(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if round == 0 {
				want = out
			}
			for name, x := range out {
				if !bytes.Equal(x.Raw, want[name].Raw) {
					t.Errorf("output %q is another in round %d", name, round)
				}
			}
			for n := 4 << 10; n < 4<<20; n += n / 8 {
				b := tensor.ScratchBytes(n, 1)
				soil(b)
				tensor.RecycleBytes(b)
			}
		}
	})
}
