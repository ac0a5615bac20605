package quantize

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/demo"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// gateOf is a comparison on samples with those ratios in dB.
func gateOf(dbs ...float64) *Gate {
	each := make([]report.Diffs, len(dbs))
	for i, db := range dbs {
		each[i] = make(report.Diffs, 1)
		each[i][0].Add([]float32{1}, []float32{1 - float32(math.Pow(10, -db/20))})
	}
	return newGate(each, 0)
}

func TestGate(t *testing.T) {
	before := gateOf(20, 22, 18, 25, 19, 21, 23, 20)
	for _, c := range []struct {
		name   string
		after  *Gate
		better bool
	}{
		{"the same", before, false},
		{"each by one", gateOf(21, 23, 19, 26, 20, 22, 24, 21), true},
		{"worse", gateOf(19, 21, 17, 24, 18, 20, 22, 19), false},
		{"one sample, much", gateOf(20, 22, 40, 25, 19, 21, 23, 20), false},
		{"most a little, the worst much worse", gateOf(21, 23, 10, 26, 20, 22, 24, 21), false},
	} {
		if got := c.after.better(before); got != c.better {
			mean, err := c.after.gain(before)
			t.Errorf("%s: better %v: %.2f after %.2f dB, %.2f ± %.2f", c.name, got, c.after.SQNR, before.SQNR, mean, err)
		}
	}
	if mean, err := gateOf(21, 23).gain(gateOf(20, 20)); math.Abs(mean-2) > 1e-4 || math.Abs(err-1) > 1e-4 {
		t.Errorf("gain %g ± %g, want 2 ± 1", mean, err)
	}
	if g := gateOf(20, 20, 20); g.Error > 1e-6 {
		t.Errorf("samples that are alike leave an error of %g dB", g.Error)
	}
	if g := gateOf(10, 30, 30, 30); g.Error < 3 {
		t.Errorf("one sample makes all the noise, the error is %g dB only", g.Error)
	}
}

// TestUnsure asks more samples only where the first ones cannot tell.
func TestUnsure(t *testing.T) {
	before := gateOf(20, 22, 18, 25)
	for _, c := range []struct {
		after  *Gate
		unsure bool
	}{
		{gateOf(20, 23, 18, 25), true},
		{gateOf(19, 24, 17, 25), true},
		{gateOf(19, 21, 17, 24), false},
	} {
		if got := c.after.unsure(before); got != c.unsure {
			t.Errorf("%.2f after %.2f dB: unsure %v", c.after.SQNR, before.SQNR, got)
		}
	}
}

// TestSift finds the changes that help among those that do harm.
func TestSift(t *testing.T) {
	for _, c := range []struct {
		effects []float64 // dB of each place
		most    int
		want    string
	}{
		{[]float64{1, 1, 1, 1}, 8, "abcd"},
		{[]float64{1, 1, -5, 1}, 8, "abd"},
		{[]float64{-1, -1, -1, -1}, 20, ""},
		{[]float64{3, 3, 0.5, -1}, 8, "abc"}, // all together help, the last one does harm
		{[]float64{1, -5, -5, 1}, 8, "ad"},
		{[]float64{-5, 1, 1, 1, 1, 1, 1, 1}, 3, "efgh"}, // no more tries
	} {
		all := []string{"a", "b", "c", "d", "e", "f", "g", "h"}[:len(c.effects)]
		tries := 0
		s := &sifter{keep: map[string]bool{}, score: gateOf(20, 21, 22, 23), left: c.most}
		s.try = func(keep map[string]bool) (state, *Gate, error) {
			tries++
			db := 0.0
			for i, p := range all {
				if keep[p] {
					db += c.effects[i]
				}
			}
			return state{}, gateOf(20+db, 21+db, 22+db, 23+db), nil
		}
		s.better = func(before, after *Gate) (bool, error) { return after.better(before), nil }
		err := s.add(all)
		if err == nil && len(s.keep) == len(all) {
			err = s.drop(all)
		}
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range all {
			if s.keep[p] {
				got += p
			}
		}
		if got != c.want || tries > c.most || len(s.trials) != tries {
			t.Errorf("%v: kept %q after %d tries, want %q", c.effects, got, tries, c.want)
		}
	}
}

// glyphs are images of the demo.
func glyphs(n int) *dataset.Source {
	return dataset.New(dataset.Info{Form: "made", Path: "glyphs", Total: n}, func(i int) (*dataset.Sample, error) {
		pixels, _ := demo.Image(11, i)
		x := make([]float32, len(pixels))
		for k, p := range pixels {
			x[k] = demo.Normalize(p)
		}
		return &dataset.Sample{Inputs: map[string]*tensor.Tensor{demo.Input: tensor.Float32s(x, 1, 1, demo.Side, demo.Side)}}, nil
	})
}

func autoRun(t *testing.T, bits *format.Format, budget time.Duration) (*Result, []string) {
	t.Helper()
	m, err := onnx.Decode(demo.Model(), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	set.Weights.Format = bits
	r, err := Run(t.Context(), m, Options{Settings: set, Data: glyphs(48), Threads: 2, Budget: budget, Tell: func(s string) { told = append(told, s) }})
	if err != nil {
		t.Fatal(err)
	}
	return r, told
}

// TestBudget tries what fits the budget, and tells what does not.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		format      *format.Format
		budget      time.Duration
		tried, left string
	}{
		{format.Int8, time.Hour, "equalize bias", ""},
		{format.Int8, time.Nanosecond, "", "bias equalize"},
		{format.Int4, 2 * time.Second, "equalize adaround bias", "brecq"},
	} {
		r, told := autoRun(t, c.format, c.budget)
		var tried, left []string
		for _, f := range r.Fixes {
			if f.Skipped {
				left = append(left, f.Name)
				if !strings.Contains(f.Note, "budget") || !strings.Contains(f.String(), "not tried") {
					t.Errorf("%s", f)
				}
				continue
			}
			tried = append(tried, f.Name)
			if len(f.Trials) == 0 || f.Work <= 0 {
				t.Errorf("%s: %d trials, %v", f, len(f.Trials), f.Work)
			}
		}
		slices.Sort(left)
		if got := strings.Join(tried, " "); got != c.tried || strings.Join(left, " ") != c.left {
			t.Errorf("%s in %v: tried %q and left out %q, want %q and %q", c.format.Name, c.budget, got, left, c.tried, c.left)
		}
		if r.Effort.Planned > c.budget || r.Effort.Spent > c.budget || (len(told) == 1) != (c.tried != "") {
			t.Errorf("%s in %v: %+v, told %q", c.format.Name, c.budget, r.Effort, told)
		}
		if !r.Gate.Fresh || r.Gate.Samples != 8 {
			t.Errorf("the last word has %+v", r.Gate)
		}
	}
}

// TestKeptChanges says of each layer what was kept, and keeps nothing that the samples that judge speak against.
func TestKeptChanges(t *testing.T) {
	r, _ := autoRun(t, format.Int4, 2*time.Second)
	for _, f := range r.Fixes {
		if !f.Made {
			continue
		}
		if f.After <= f.Before {
			t.Errorf("%s: kept", f)
		}
		for _, c := range f.Changes {
			if c.Gain == 0 && f.Name != repair.Equalize.Name {
				t.Errorf("%s: nobody knows what %s gains", f.Name, c.Place)
			}
			if slices.ContainsFunc(f.Undone, func(u repair.Change) bool { return u.Place == c.Place }) {
				t.Errorf("%s: %s is kept and undone", f.Name, c.Place)
			}
		}
	}
}

// TestMixed takes some nodes' constants and parameters from one state and the rest from the other.
func TestMixed(t *testing.T) {
	m, err := onnx.Decode(demo.Model(), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	set.Weights.Format = format.Int4
	q := &quantization{ctx: t.Context(), in: m, opt: Options{Settings: set, Data: glyphs(40), Threads: 1, Fix: []string{"none"}, Progress: func(string, int, int) {}}}
	if err := q.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := q.decide(); err != nil {
		t.Fatal(err)
	}
	was := q.state()
	if _, err := q.amend(&wish{Repair: repair.AdaRound}); err != nil {
		t.Fatal(err)
	}
	with := q.state()
	all := changed(was, with)
	if len(all) < 3 {
		t.Fatalf("%q changed", all)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		keep := map[string]bool{}
		var want []string
		for _, n := range all {
			if r.IntN(2) == 0 {
				keep[n], want = true, append(want, n)
			}
		}
		some := mixed(was, with, keep)
		if got := fmt.Sprint(changed(was, some)); got != fmt.Sprint(want) {
			t.Errorf("taken: %v, want %v", got, want)
		}
		if got := changed(some, with); len(got)+len(want) != len(all) {
			t.Errorf("of %q, %q are taken and %q are not", all, want, got)
		}
	}
}

// TestMixedBiases holds that biases behind products keep to the scales of these, whichever of the changed layers are taken.
func TestMixedBiases(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (float[12,16] x) => (float[12,8] y) {
  [m1] a = MatMul (x, w1)
  [a1] s = Add (a, b1)
  [r1] r = Relu (s)
  [m2] b = MatMul (r, w2)
  [a2] y = Add (b2, b)
}`)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	normal := func(shape ...int) *tensor.Tensor {
		x := make([]float32, tensor.Elements(shape))
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return tensor.Float32s(x, shape...)
	}
	m.Graph.SetConst("w1", normal(16, 32))
	m.Graph.SetConst("b1", normal(32))
	m.Graph.SetConst("w2", normal(32, 8))
	m.Graph.SetConst("b2", normal(8))
	samples := make([]*dataset.Sample, 64)
	for i := range samples {
		samples[i] = &dataset.Sample{Inputs: map[string]*tensor.Tensor{"x": normal(12, 16)}}
	}
	set, err := plan.Default("W4A8")
	if err != nil {
		t.Fatal(err)
	}
	data := dataset.New(dataset.Info{Total: len(samples)}, func(i int) (*dataset.Sample, error) { return samples[i], nil })
	q := &quantization{ctx: t.Context(), in: m, opt: Options{Settings: set, Data: data, Threads: 1, Fix: []string{"none"}, Progress: func(string, int, int) {}}}
	if err := q.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := q.decide(); err != nil {
		t.Fatal(err)
	}
	was := q.state()
	for _, name := range []*repair.Repair{repair.AWQClip, repair.AdaRound, repair.Bias} {
		if _, err := q.amend(&wish{Repair: name}); err != nil {
			t.Fatal(err)
		}
	}
	with := q.state()
	if all := changed(was, with); fmt.Sprint(all) != "[m1 m2]" {
		t.Fatalf("%q changed", all)
	}
	for _, keep := range []string{"m1", "m2"} {
		some := mixed(was, with, map[string]bool{keep: true}).plan
		for _, v := range some.Values {
			if v.Role != plan.RoleBias {
				continue
			}
			in, w := some.Value(v.Input).Params[0].Scale, some.Value(v.Weight).Params
			for i, p := range v.Params {
				if want := float32(float64(in) * float64(w[i].Scale)); p.Scale != want {
					t.Fatalf("with %s taken, step %d of %s is %g, not %g", keep, i, v.Name, p.Scale, want)
				}
			}
		}
	}
}

// TestRoundingOfWideLayers holds that the matrices of wide layers are counted, which take minutes to factor.
func TestRoundingOfWideLayers(t *testing.T) {
	w := &work{many: 1, judge: 1, layers: []layerWork{{rows: 512, k: 4608, groups: 1, at: 49}}}
	if d := seconds(w.rounding()); d < 2*time.Minute || d > 5*time.Minute {
		t.Errorf("it would take %v", d)
	}
}
