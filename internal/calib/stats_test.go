package calib

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

func init() { testdata.Seed() }

// anyFloat32 draws from all bit patterns and from numbers of everyday size.
func anyFloat32() *rapid.Generator[float32] {
	return rapid.OneOf(
		rapid.Map(rapid.Uint32(), math.Float32frombits),
		rapid.Map(rapid.IntRange(-2000, 2000), func(i int) float32 { return float32(i) / 64 }),
		rapid.SampledFrom([]float32{0, float32(math.Copysign(0, -1)), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1, -1}),
	)
}

// samplesOf draws values cut into samples.
func samplesOf(t *rapid.T) [][]float32 {
	return rapid.SliceOfN(rapid.SliceOfN(anyFloat32(), 0, 40), 1, 12).Draw(t, "samples")
}

func observe(level kernel.Level, samples [][]float32) *Stats {
	s := NewStats(true)
	for _, x := range samples {
		s.Add(level, x)
	}
	return s
}

// A failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// TestKeptStats writes statistics as JSON and reads them again: everything is there, also of numbers that are infinite, and
// both go on alike.
func TestKeptStats(t *testing.T) {
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, hist := range []bool{true, false} {
			s, more := NewStats(hist), NewStats(hist)
			for i, x := range samplesOf(t) {
				[]*Stats{s, more}[i%2].Add(level, x)
			}
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			var got *Stats
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			sameStats(t, s, got)
			again := *more
			again.Neg, again.Pos = slices.Clone(more.Neg), slices.Clone(more.Pos)
			s.Merge(more)
			got.Merge(&again)
			sameStats(t, s, got)
		}
	})
	for _, text := range []string{`{"Neg":"gA==","Pos":""}`, `{"Mins":"gA=="}`, `{"Neg":"` + strings.Repeat("AAAA", Bins) + `","Pos":""}`} {
		if err := json.Unmarshal([]byte(text), &Stats{}); err == nil {
			t.Errorf("%.40s is taken", text)
		}
	}
}

// sameStats compares everything that is kept.
func sameStats(t failer, a, b *Stats) {
	t.Helper()
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("%d values of %d and %d values of %d, widths 2^%d and 2^%d, [%v, %v] and [%v, %v]",
			a.Count, a.Samples, b.Count, b.Samples, a.Exp, b.Exp, a.Min, a.Max, b.Min, b.Max)
	}
}

// TestOrder holds that statistics do not depend on the order of the samples, nor on that of the
// values in them.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := samplesOf(t)
		want := observe(kernel.Generic, samples)
		shuffled := slices.Clone(samples)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for i, x := range shuffled {
			shuffled[i] = slices.Clone(x)
			r.Shuffle(len(x), func(a, b int) { shuffled[i][a], shuffled[i][b] = shuffled[i][b], shuffled[i][a] })
		}
		sameStats(t, observe(kernel.Generic, shuffled), want)
	})
}

// TestMerge holds that parts observed apart, merged in any order, are the whole.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := samplesOf(t)
		parts := make([]*Stats, rapid.IntRange(1, 5).Draw(t, "parts"))
		for i := range parts {
			parts[i] = NewStats(true)
		}
		for _, x := range samples {
			parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].Add(kernel.Generic, x)
		}
		for len(parts) > 1 {
			i := rapid.IntRange(1, len(parts)-1).Draw(t, "next")
			parts[0].Merge(parts[i])
			parts = slices.Delete(parts, i, i+1)
		}
		sameStats(t, parts[0], observe(kernel.Generic, samples))
	})
}

// TestBatches holds that the histogram does not depend on how values are cut into samples.
func TestBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := samplesOf(t)
		a, b := observe(kernel.Generic, samples), observe(kernel.Generic, [][]float32{slices.Concat(samples...)})
		if !slices.Equal(a.Neg, b.Neg) || !slices.Equal(a.Pos, b.Pos) || a.Exp != b.Exp || a.Min != b.Min || a.Max != b.Max || a.Zeros != b.Zeros || a.NaNs != b.NaNs || a.Infs != b.Infs {
			t.Fatal("one sample and several give different histograms")
		}
	})
}

// TestStatsAgainstValues counts the values again, one by one.
func TestStatsAgainstValues(t *testing.T) {
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		samples := samplesOf(t)
		s := observe(level, samples)
		sameStats(t, s, observe(kernel.Generic, samples))
		neg, pos := make([]uint64, Bins), make([]uint64, Bins)
		var zeros, nans, infs uint64
		for _, v := range slices.Concat(samples...) {
			switch x := math.Abs(float64(v)); {
			case math.IsNaN(x):
				nans++
			case math.IsInf(x, 0):
				infs++
			case x == 0:
				zeros++
			case v < 0:
				neg[int(x/s.width())]++
			default:
				pos[int(x/s.width())]++
			}
		}
		if zeros != s.Zeros || nans != s.NaNs || infs != s.Infs || !slices.Equal(neg, s.Neg) || !slices.Equal(pos, s.Pos) {
			t.Fatal("the counts differ")
		}
		if s.Exp > firstExp && s.amax() < Bins/2*s.width() {
			t.Fatalf("width 2^%d is more than %v needs", s.Exp, s.amax())
		}
	})
}

func TestRangesWithinExtremes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := observe(kernel.Generic, samplesOf(t))
		f := rapid.SampledFrom(format.All).Draw(t, "format")
		symmetric := rapid.Bool().Draw(t, "symmetric")
		for _, o := range All {
			p, err := o.Fit(s, f, symmetric)
			if !s.Seen() {
				if err == nil {
					t.Fatalf("%s fits what nobody saw", o.Name)
				}
				continue
			}
			lo, hi := o.Range(s, f, symmetric)
			if err != nil || math.IsNaN(lo) || math.IsNaN(hi) || lo > hi {
				t.Fatalf("%s, %s: [%v, %v] (%v)", o.Name, f.Name, lo, hi, err)
			}
			most := float64(max(-s.Min, s.Max, 0)) * (1 + 1e-9)
			if -lo > most || hi > most {
				t.Fatalf("%s, %s: [%v, %v] outside of [%v, %v]", o.Name, f.Name, lo, hi, s.Min, s.Max)
			}
			if !(p.Scale > 0) || math.IsInf(float64(p.Scale), 0) {
				t.Fatalf("%s, %s: scale %v", o.Name, f.Name, p.Scale)
			}
		}
	})
}

func TestPercentile(t *testing.T) {
	s := NewStats(true)
	x := make([]float32, 100_000)
	for i := range x {
		x[i] = float32(i+1) / 100_000 // (0, 1]
	}
	x = append(x, 50) // one outlier
	s.Add(kernel.Generic, x)
	width := s.width()
	lo, hi := Percentile.Range(s, format.Int8, true)
	if want := 0.9999; lo != -hi || math.Abs(hi-want) > width {
		t.Errorf("symmetric: [%v, %v], want %v within a bin of %v", lo, hi, want, width)
	}
	lo, hi = Percentile.Range(s, format.Uint8, false)
	if want := 0.99995; lo != 0 || math.Abs(hi-want) > width {
		t.Errorf("asymmetric: [%v, %v], want %v within a bin of %v", lo, hi, want, width)
	}
	for i, h := range []struct {
		bins  []uint64
		below uint64
		p     float64
		want  float64
	}{
		{[]uint64{10, 10}, 0, 0.5, 1}, {[]uint64{10, 10}, 0, 0.75, 1.5}, {[]uint64{10, 10}, 20, 0.5, 0},
		{[]uint64{10, 10}, 20, 0.75, 1}, {[]uint64{0, 0, 4}, 0, 0.5, 2.5}, {[]uint64{1}, 0, 1, 1}, {nil, 3, 0.5, 0},
	} {
		if got := quantile(h.bins, h.below, h.p); got != h.want {
			t.Errorf("case %d: %v, want %v", i, got, h.want)
		}
	}
}

func TestAverage(t *testing.T) {
	nan := float32(math.NaN())
	s := observe(kernel.Generic, [][]float32{{-1, 3}, {-3, 1}, {nan}, {}})
	if lo, hi := Average.Range(s, format.Uint8, false); lo != -2 || hi != 2 {
		t.Errorf("got [%v, %v]: samples without a finite value count", lo, hi)
	}
}

func TestFit(t *testing.T) {
	bare := NewStats(false)
	bare.Add(kernel.Generic, []float32{-1, 2})
	if _, err := Entropy.Fit(bare, format.Uint8, false); err == nil || !strings.Contains(err.Error(), "needs histograms") {
		t.Errorf("entropy without histograms: %v", err)
	}
	if p, err := MinMax.Fit(bare, format.Uint8, false); err != nil || p.Scale != float32(3.0/255) || p.Zero != 85 {
		t.Errorf("minmax: %v (%v)", p, err)
	}
	constant := observe(kernel.Generic, [][]float32{{5, 5, 5}})
	for _, o := range All {
		if p, err := o.Fit(constant, format.Uint8, false); err != nil || p.Scale != float32(5.0/255) {
			t.Errorf("%s of a constant: %v (%v)", o.Name, p, err)
		}
	}
	for _, o := range All {
		if Lookup(o.Name) != o || !strings.Contains(Names(), o.Name) || o.Doc == "" {
			t.Errorf("observer %q is not to be found", o.Name)
		}
	}
	if Lookup("none") != nil {
		t.Error("an observer that nobody made")
	}
}

// A doubler shows its input times two; samples in bad fail.
type doubler struct{ bad string }

func (d doubler) RunWatch(ctx context.Context, in map[string]*tensor.Tensor, watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	x := tensor.Of[float32](in["x"])
	if fmt.Sprint(x[0]) == d.bad {
		return nil, errors.New("broken")
	}
	y := tensor.New(tensor.Float32, len(x))
	for i, v := range x {
		tensor.Of[float32](y)[i] = 2 * v
	}
	watch("x", in["x"]) // as runners do with inputs that they are asked to show
	watch("y", y)
	watch("words", tensor.Strings([]string{"a"}, 1))
	return nil, nil
}

func (doubler) Close() {}

func feedOf(n int) Feed {
	return Feed{N: n, Sample: func(i int) (map[string]*tensor.Tensor, string, error) {
		x := make([]float32, 100)
		r := rand.New(rand.NewPCG(uint64(i), 1))
		for k := range x {
			x[k] = float32(i) + r.Float32()
		}
		x[0] = float32(i)
		return map[string]*tensor.Tensor{"x": tensor.Float32s(x, 100)}, fmt.Sprintf("sample-%d", i), nil
	}}
}

func TestCollect(t *testing.T) {
	var want map[string]*Stats
	for _, workers := range []int{1, 2, 7} {
		var mu sync.Mutex
		done := 0
		got, err := Collect(context.Background(), doubler{}, feedOf(20), Options{Hist: true, Workers: workers, Done: func(n int) {
			mu.Lock()
			defer mu.Unlock()
			done = max(done, n)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if done != 20 || len(got) != 2 || got["x"].Samples != 20 || got["y"].Samples != 20 || got["y"].Count != 2000 {
			t.Errorf("%d workers: %d done, %d values", workers, done, len(got))
		}
		if want == nil {
			want = got
		}
		for name := range want {
			sameStats(t, got[name], want[name])
		}
	}
}

func TestCollectErrors(t *testing.T) {
	nan := feedOf(5)
	nan.Sample = func(i int) (map[string]*tensor.Tensor, string, error) {
		in, name, err := feedOf(5).Sample(i)
		if i == 3 {
			tensor.Of[float32](in["x"])[7] = float32(math.NaN())
		}
		return in, name, err
	}
	lost := feedOf(5)
	lost.Sample = func(i int) (map[string]*tensor.Tensor, string, error) {
		return nil, "", fault.Invalidf("sample-1.npy", "is cut short")
	}
	for _, c := range []struct {
		name string
		r    Runner
		feed Feed
		want string
	}{
		{"no samples", doubler{}, Feed{}, "no samples"},
		{"NaN", doubler{}, nan, `sample-3: input "x" holds 1 NaN and 0 infinite values`},
		{"unreadable", doubler{}, lost, "sample-1.npy: is cut short"},
		{"runner", doubler{bad: "2"}, feedOf(5), "sample sample-2: broken"},
	} {
		for _, workers := range []int{1, 3} {
			_, err := Collect(context.Background(), c.r, c.feed, Options{Workers: workers})
			if err == nil || err.Error() != c.want && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %d workers: got %v, want %q", c.name, workers, err, c.want)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Collect(ctx, doubler{}, feedOf(5), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
