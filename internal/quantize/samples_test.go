package quantize

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// numbered returns a sample for each number, which alone tells what it holds.
func numbered(ids []int) *dataset.Source {
	return dataset.New(dataset.Info{Form: "made", Path: "numbers", Total: len(ids)}, func(i int) (*dataset.Sample, error) {
		return &dataset.Sample{Inputs: map[string]*tensor.Tensor{"x": tensor.Scalar(float32(ids[i]))}}, nil
	})
}

// TestHoldBack splits samples by what they hold: the same ones are held back in any order.
func TestHoldBack(t *testing.T) {
	for _, c := range []struct{ n, held, fresh int }{{1, 1, 0}, {31, 31, 0}, {32, 8, 8}, {100, 10, 10}, {500, 32, 32}} {
		var want []int
		for order := range uint64(3) {
			ids := rand.New(rand.NewPCG(order, 0)).Perm(c.n)
			s, err := holdBack(t.Context(), numbered(ids))
			if err != nil {
				t.Fatal(err)
			}
			if len(s.judge) != c.held || len(s.fresh) != c.fresh || c.held < c.n && len(s.calibrate)+len(s.judge)+len(s.fresh) != c.n {
				t.Fatalf("%d samples: %d to calibrate, %d to judge, %d for the last word", c.n, len(s.calibrate), len(s.judge), len(s.fresh))
			}
			var got []int
			for _, i := range slices.Concat(s.judge, s.fresh) {
				got = append(got, ids[i])
			}
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d samples, order %d: %v are held back, want %v", c.n, order, got, want)
			}
			for _, i := range slices.Concat(s.calibrate, s.fresh) {
				if c.held < c.n && slices.Contains(s.judge, i) {
					t.Errorf("sample %d judges and has another use", i)
				}
			}
			for _, i := range s.fresh {
				if slices.Contains(s.calibrate, i) {
					t.Errorf("sample %d is calibrated on and has the last word", i)
				}
			}
		}
	}
}

// TestJudgeKeepsFew holds a judge that reads most samples anew against one that keeps them all.
func TestJudgeKeepsFew(t *testing.T) {
	const n = 13
	o := Options{Data: glyphs(n), Budget: DefaultBudget, Fix: []string{"none"}, Threads: 3}
	var err error
	if o.Settings, err = plan.Default("W8A8"); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), glyphNet(t), o)
	if err != nil {
		t.Fatal(err)
	}
	numbers := rand.New(rand.NewPCG(1, 2)).Perm(n)
	q := &quantization{ctx: t.Context(), opt: o}
	float := glyphNet(t)
	s, err := engine.Compile(float, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	var want *verdict
	for _, c := range []struct{ most, kept int }{{judgeBytes, n}, {0, fitLeast}} {
		j := q.judgeOf(float, numbers)
		if err := j.keep(s, c.most); err != nil {
			t.Fatal(err)
		}
		if len(j.kept) != c.kept {
			t.Errorf("%d samples are kept in %d bytes, want %d", len(j.kept), c.most, c.kept)
		}
		for _, k := range j.kept {
			if k.inputs != nil {
				t.Errorf("samples are held that nobody asked to")
			}
		}
		got, err := j.measure(r.Graph)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("a judge that keeps %d samples finds %v, want %v", c.kept, got, want)
		}
		if err := j.hold(); err != nil {
			t.Fatal(err)
		}
		for i, in := range j.inputs() {
			if in == nil {
				t.Errorf("sample %d is not held", i)
			}
		}
		few, err := j.first(6).measure(r.Graph)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(few.Each, want.Each[:6]) {
			t.Errorf("the first samples of one that keeps %d are compared otherwise", c.kept)
		}
	}
}
