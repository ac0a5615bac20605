package lowbit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/demo"
	"lowbit/internal/onnx"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

// glyphNet returns the demo's network.
func glyphNet(t *testing.T) *Model {
	t.Helper()
	m, err := Decode(demo.Model())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// glyphs returns images in the given order, drawn as they are asked for.
func glyphs(order []int) *dataset.Source {
	return dataset.New(dataset.Info{Form: "made", Path: "glyphs", Total: len(order)}, func(i int) (*dataset.Sample, error) {
		pixels, label := demo.Image(11, order[i])
		x := make([]float32, len(pixels))
		for k, p := range pixels {
			x[k] = demo.Normalize(p)
		}
		in := map[string]*Tensor{demo.Input: tensor.Float32s(x, 1, 1, demo.Side, demo.Side)}
		return &dataset.Sample{Name: fmt.Sprint("glyph ", i), Inputs: in, Label: label}, nil
	})
}

// sequence returns 0 to n-1, shuffled unless seed is 0.
func sequence(n int, seed uint64) []int {
	if seed == 0 {
		return slices.Collect(func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		})
	}
	return rand.New(rand.NewPCG(seed, 0)).Perm(n)
}

// quantizedSum quantizes the demo's network and returns the hash of the file.
func quantizedSum(t *testing.T, set plan.Settings, style, fix string, data *dataset.Source, threads int) string {
	t.Helper()
	o := quantize.Options{Settings: set, Style: style, Data: data, Threads: threads, Recipe: "scheme: W8A8\n"}
	if fix != "" {
		o.Fix = []string{fix}
	}
	r, err := QuantizeBy(context.Background(), glyphNet(t), o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := onnx.Encode(r.Model.Graph())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// TestSameBytes quantizes in every way with other threads, repeated, and with the samples in other
// orders: the file is the same each time.
func TestSameBytes(t *testing.T) {
	type way struct {
		name, style string
		set         func(s *plan.Settings)
		data        int // samples; few of them serve for calibration and judgement
		fix         string
	}
	ways := []way{
		{"best observer", "qdq", func(*plan.Settings) {}, 40, repair.None},
		{"repairs", "qdq", func(s *plan.Settings) { s.Observer = calib.MinMax }, 34, ""},
		{"few samples", "qdq", func(*plan.Settings) {}, 10, repair.None},
		{"operators on codes", "qoperator", func(s *plan.Settings) { s.Observer = calib.Entropy }, 34, repair.None},
		{"dynamic", "qdq", func(s *plan.Settings) { s.Mode = plan.Dynamic }, 0, ""},
		{"weights", "qdq", func(s *plan.Settings) { s.Mode = plan.Weights }, 0, ""},
	}
	for _, o := range calib.All {
		ways = append(ways, way{o.Name, "qdq", func(s *plan.Settings) { s.Observer = o }, 12, repair.None})
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			set, err := plan.Default("W8A8")
			if err != nil {
				t.Fatal(err)
			}
			w.set(&set)
			want := ""
			for _, c := range []struct {
				threads int
				order   uint64
			}{{1, 0}, {1, 0}, {2, 0}, {3, 0}, {1, 1}, {3, 2}} {
				var data *dataset.Source
				if w.data > 0 {
					data = glyphs(sequence(w.data, c.order))
				}
				got := quantizedSum(t, set, w.style, w.fix, data, c.threads)
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%d threads, order %d: %s, want %s", c.threads, c.order, got, want)
				}
			}
		})
	}
}

// TestOtherDataOtherBytes keeps the test above from passing because samples do not matter.
func TestOtherDataOtherBytes(t *testing.T) {
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	a := quantizedSum(t, set, "qdq", repair.None, glyphs(sequence(12, 0)), 2)
	if b := quantizedSum(t, set, "qdq", repair.None, glyphs([]int{100, 101, 102, 103}), 2); a == b {
		t.Error("other samples give the same file")
	}
}

// TestMemoryDoesNotGrowWithSamples measures what is alive at the end of calibration, with 100 samples,
// more than repairs are fitted to, and with ten times as many. The samples that are held back to judge
// by, 10 of 100 and 32 of 1000, are kept with their answers, and of each of the 1000 a few numbers;
// together less than a quarter of what the 900 more inputs take. Twice that much is allowed.
func TestMemoryDoesNotGrowWithSamples(t *testing.T) {
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	alive := func(n int) int64 {
		var live int64
		progress := func(stage string, done, total int) {
			if stage == "calibrate" && done == total {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				live = int64(m.HeapAlloc)
			}
		}
		_, err := QuantizeBy(context.Background(), glyphNet(t), quantize.Options{Settings: set, Data: glyphs(sequence(n, 0)), Threads: 2, Progress: progress})
		if err != nil {
			t.Fatal(err)
		}
		return live
	}
	alive(100) // what the packages make once
	few, many := alive(100), alive(1000)
	allowed := int64(900*4*demo.Side*demo.Side) / 2
	t.Logf("%d bytes alive with 100 samples, %d with 1000", few, many)
	if many-few > allowed {
		t.Errorf("%d bytes alive with 100 samples, %d with 1000: %d more are allowed", few, many, allowed)
	}
}
