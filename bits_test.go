package lowbit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/kernel"
	"lowbit/internal/npz"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

const (
	heavyMACs    = 400e6 // a model above takes seconds in plain Go
	sameSQNR     = 80.0  // dB that float networks keep between levels: other roundings of sums
	likeSQNR     = 30.0  // and quantized ones: a rounding that falls to the other side costs a step
	answeredSQNR = 60.0  // dB to the stored answers of ONNX Runtime
)

// TestModelsOnEveryLevel runs every test model, in float and quantized, on every level that the machine has:
// float answers are the stored ones, and integer networks give the same bits.
func TestModelsOnEveryLevel(t *testing.T) {
	root := testdata.Dir(t, "models")
	paths, err := filepath.Glob(filepath.Join(root, "*", "*.onnx"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d models, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			t.Parallel()
			m, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			c := &levelCase{t: t, in: readNPZ(t, filepath.Join(filepath.Dir(path), "input.npz"))}
			macs := c.float(m, readNPZ(t, filepath.Join(filepath.Dir(path), "output.npz")))
			if quantize.FirstQuantized(m.Graph()) == nil && (macs < heavyMACs/10 || !testing.Short()) {
				c.quantized(m, filepath.Join(filepath.Dir(path), "input.npz"))
			}
		})
	}
}

// A levelCase is a model's input, on the way through the levels.
type levelCase struct {
	t  *testing.T
	in map[string]*Tensor
}

// run evaluates m on a level.
func (c *levelCase) run(m *Model, level kernel.Level, look func(s *Session)) map[string]*Tensor {
	c.t.Helper()
	s, err := m.Compile(CompileOptions{Threads: 2, CPU: level.String()})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(context.Background(), c.in)
	if err != nil {
		c.t.Fatal(err)
	}
	look(s)
	return out
}

// products counts the multiply-adds of a run, and says whether some multiply floats.
func (c *levelCase) products(s *Session) (macs int64, float bool) {
	steps, err := s.Profile(context.Background(), c.in, 1)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, st := range steps {
		macs += st.MACs
		float = float || !strings.HasPrefix(st.Kernel, "u8s8") && (st.MACs > 0 || st.Op == "LSTM" || st.Op == "GRU" || st.Kernel == "reference")
	}
	return macs, float
}

// levels runs m on the best level and then on all others, plain Go only where that takes no seconds. It
// returns the multiply-adds of one run.
func (c *levelCase) levels(m *Model, each func(level kernel.Level, got, best map[string]*Tensor, products bool)) int64 {
	list := kernel.Levels()
	top := list[len(list)-1]
	var macs int64
	products := false
	best := c.run(m, top, func(s *Session) { macs, products = c.products(s) })
	each(top, best, best, products)
	for _, l := range list[:len(list)-1] {
		if macs > heavyMACs && l == kernel.Generic || macs > heavyMACs/10 && testing.Short() {
			continue
		}
		each(l, c.run(m, l, func(*Session) {}), best, products)
	}
	return macs
}

func (c *levelCase) float(m *Model, want map[string]*Tensor) int64 {
	return c.levels(m, func(l kernel.Level, got, best map[string]*Tensor, _ bool) {
		if db := sqnrOf(got, want); db < answeredSQNR {
			c.t.Errorf("float on %v: %.1f dB to the stored answer", l, db)
		}
		if db := sqnrOf(got, best); db < sameSQNR {
			c.t.Errorf("float on %v: %.1f dB to the best level", l, db)
		}
	})
}

// quantized makes the integer network as quantize does, with its input as the one sample.
func (c *levelCase) quantized(m *Model, sample string) {
	set, err := plan.Default("W8A8")
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := dataset.Open(sample, dataset.Options{Inputs: m.Graph().Graph.Required()})
	if err != nil {
		c.t.Fatal(err)
	}
	defer data.Close()
	r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: data})
	if err != nil {
		c.t.Fatal(err)
	}
	c.levels(r.Model, func(l kernel.Level, got, best map[string]*Tensor, products bool) {
		for name, b := range best {
			if !products && string(got[name].Raw) != string(b.Raw) {
				c.t.Errorf("quantized on %v: %s has other bits than on the best level", l, name)
			}
		}
		if db := sqnrOf(got, best); db < likeSQNR {
			c.t.Errorf("quantized on %v: %.1f dB to the best level", l, db)
		}
	})
}

// sqnrOf compares the float outputs; others have to be equal.
func sqnrOf(got, want map[string]*Tensor) float64 {
	var d report.Diff
	for name, w := range want {
		switch g := got[name]; {
		case g == nil || g.String() != w.String():
			return -1
		case w.DType == tensor.Float32:
			d.Add(tensor.Of[float32](w), tensor.Of[float32](g))
		case string(g.Raw) != string(w.Raw):
			return -1
		}
	}
	return d.SQNR()
}

func readNPZ(t *testing.T, path string) map[string]*Tensor {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not here", filepath.Base(path))
	}
	list, err := npz.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]*Tensor{}
	for _, a := range list {
		m[a.Name] = a.Tensor
	}
	return m
}
