package dataset

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

func TestDraw(t *testing.T) {
	count := make([]int, 10)
	for seed := range uint64(2000) {
		picks := draw(10, 3, seed)
		if len(picks) != 3 || !slices.IsSorted(picks) || len(slices.Compact(slices.Clone(picks))) != 3 {
			t.Fatalf("seed %d: %v", seed, picks)
		}
		for _, p := range picks {
			count[p]++
		}
	}
	for i, c := range count {
		if c < 500 || c > 700 { // 600 expected, with a deviation of 20
			t.Errorf("number %d was drawn %d times of 2000", i, c)
		}
	}
	if a, b := draw(1000, 20, 7), draw(1000, 20, 7); !slices.Equal(a, b) {
		t.Error("two draws of one seed differ")
	}
}

func TestSamples(t *testing.T) {
	path := filepath.Join(write(t, "x.npy", npyOf(t, ramp(50, 1))), "x.npy")
	s := open(t, path, Options{Samples: 7, Seed: 3})
	if s.Len() != 7 || s.Info().Total != 50 || len(s.Info().Warnings) != 0 {
		t.Fatalf("%d samples of %+v", s.Len(), s.Info())
	}
	for i, p := range draw(50, 7, 3) {
		if v := tensor.Of[float32](sample(t, s, i).Inputs[""]); v[0] != float32(p) {
			t.Errorf("sample %d is row %v, want %d", i, v[0], p)
		}
	}
	for _, i := range []int{-1, 7} {
		if _, err := s.Sample(i); err == nil {
			t.Errorf("sample %d exists", i)
		}
	}
	all := open(t, path, Options{Samples: 60})
	if all.Len() != 50 {
		t.Errorf("60 of 50: %d samples", all.Len())
	}
	made := New(Info{Total: 4}, func(i int) (*Sample, error) {
		return &Sample{Name: fmt.Sprint(i), Inputs: map[string]*tensor.Tensor{"x": ramp(1, i)}}, nil
	})
	if x := sample(t, made, 3); made.Len() != 4 || x.Name != "3" || made.Close() != nil {
		t.Errorf("%d made samples, %v", made.Len(), x)
	}
}

func TestDivide(t *testing.T) {
	dims := func(n ...int) graph.Type { return input("x", tensor.Float32, n...).Type }
	rows := []struct {
		shape []int
		want  graph.Type
		lot   lot
		ok    bool
	}{
		{[]int{8, 3}, dims(-1, 3), lot{n: 8, per: 1}, true},
		{[]int{8, 3}, dims(1, 3), lot{n: 8, per: 1}, true},
		{[]int{8, 3}, dims(4, 3), lot{n: 2, per: 4}, true},
		{[]int{8, 3}, dims(3, 3), lot{}, false},
		{[]int{8, 3}, dims(1, 4), lot{}, false},
		{[]int{5, 2, 1, 128}, dims(2, 1, 128), lot{n: 5, per: 1, drop: true}, true},
		{[]int{2, 1, 128}, dims(2, -1, 128), lot{n: 1, per: 2}, true},
		{[]int{}, dims(), lot{n: 1, whole: true}, true},
		{[]int{9}, dims(), lot{n: 9, per: 1, drop: true}, true},
		{[]int{9}, dims(1, 1), lot{}, false},
		{[]int{2, 3, 4, 5}, dims(1, 3), lot{}, false},
		{[]int{4, 9}, graph.Type{}, lot{n: 4, per: 1}, true},
		{[]int{}, graph.Type{}, lot{n: 1, whole: true}, true},
	}
	for _, r := range rows {
		got, err := divide(r.shape, r.want)
		if (err == nil) != r.ok || r.ok && got != r.lot {
			t.Errorf("%v for %v: %+v %v", r.shape, r.want, got, err)
		}
	}
}

// TestSharedInputs feeds a network with a state and a scalar, as recurrent networks have them.
func TestSharedInputs(t *testing.T) {
	path := filepath.Join(write(t, "x.npz", zipOf(t,
		npz.Array{Name: "in:x", Tensor: ramp(3, 4)}, npz.Array{Name: "state", Tensor: ramp(2, 1, 5)},
		npz.Array{Name: "sr", Tensor: tensor.Wrap(tensor.Int32, []int32{16000})})), "x.npz")
	s := open(t, path, Options{Inputs: inputs(input("x", tensor.Float32, 1, 4), input("state", tensor.Float32, 2, 1, 5), input("sr", tensor.Int64))})
	if s.Len() != 3 {
		t.Fatalf("%d samples", s.Len())
	}
	for i := range 3 {
		in := sample(t, s, i).Inputs
		sr, err := in["sr"].Ints()
		if got := fmt.Sprint(in["x"], in["state"], in["sr"]); got != "float[1,4] float[2,1,5] int64[]" || err != nil || sr[0] != 16000 {
			t.Errorf("sample %d: %s %v %v", i, got, sr, err)
		}
		if x := tensor.Of[float32](in["x"]); x[0] != float32(4*i) {
			t.Errorf("sample %d begins with %v", i, x[0])
		}
	}
}

// TestLabelNames takes labels from arrays of the names that tools give them, but for one that an input has.
func TestLabelNames(t *testing.T) {
	for _, name := range []string{"labels", "label", "class", "y"} {
		for _, taken := range []bool{false, true} {
			path := filepath.Join(write(t, "x.npz", zipOf(t, npz.Array{Name: "x", Tensor: ramp(2, 4)}, npz.Array{Name: name, Tensor: tensor.Vector(8, 9)})), "x.npz")
			in := []string{"x"}
			if taken {
				in = append(in, name)
			}
			var list []*graph.Value
			for _, n := range in {
				list = append(list, &graph.Value{Name: n})
			}
			s := open(t, path, Options{Inputs: list})
			if s.Info().Labelled == taken || !taken && sample(t, s, 1).Label != 9 {
				t.Errorf("%s, an input %v: labelled %v", name, taken, s.Info().Labelled)
			}
		}
	}
}

// TestSingleSample takes arrays whose first axes disagree for one sample where they are the inputs as they are, and
// refuses them where they are not, or where one axis would have two sizes.
func TestSingleSample(t *testing.T) {
	path := filepath.Join(write(t, "x.npz", zipOf(t, npz.Array{Name: "x", Tensor: ramp(1, 7, 4)}, npz.Array{Name: "places", Tensor: ramp(7, 3)},
		npz.Array{Name: "words", Tensor: ramp(5, 3)}, npz.Array{Name: "t", Tensor: ramp(1)}, npz.Array{Name: "labels", Tensor: tensor.Vector(8)})), "x.npz")
	of := func(name string, dims ...graph.Dim) *graph.Value {
		return &graph.Value{Name: name, Type: graph.Type{Kind: graph.TensorType, DType: tensor.Float32, Ranked: true, Shape: dims}}
	}
	n, x, at := graph.Known, of("x", graph.Known(1), graph.Symbol("pixels"), graph.Known(4)), of("t", graph.Known(1))
	places, words := of("places", graph.Symbol("pixels"), n(3)), of("words", graph.Symbol("length"), n(3))
	s := open(t, path, Options{Inputs: inputs(x, places, words, at)})
	one := sample(t, s, 0)
	if got := fmt.Sprint(one.Inputs["x"], one.Inputs["places"], one.Inputs["words"], one.Inputs["t"]); s.Len() != 1 || got != "float[1,7,4] float[7,3] float[5,3] float[1]" || one.Label != 8 {
		t.Errorf("%d samples, %s, label %d", s.Len(), got, one.Label)
	}
	for what, in := range map[string][]*graph.Value{
		"one symbol":    inputs(x, places, of("words", graph.Symbol("pixels"), n(3)), at),
		"no symbols":    inputs(x, of("places", n(-1), n(3)), of("words", n(-1), n(3)), at),
		"fixed batches": inputs(x, of("places", n(1), n(3)), words, at),
		"another rank":  inputs(x, places, of("words", n(3)), at),
		"no shape":      inputs(x, places, &graph.Value{Name: "words"}, at),
	} {
		_, err := Open(path, Options{Inputs: in})
		refused(t, what, err, fault.Invalid)
	}
}

func TestConvert(t *testing.T) {
	half, err := format.FromFloats(tensor.Float16, []float64{1, 200}, false, 2)
	if err != nil {
		t.Fatal(err)
	}
	ints := tensor.Vector(1, 200)
	rows := []struct {
		in *tensor.Tensor
		to tensor.DType
		ok bool
	}{
		{half, tensor.Float32, true}, {tensor.Float32s([]float32{1, 200}, 2), tensor.Float16, true},
		{tensor.Wrap(tensor.Uint8, []uint8{1, 200}, 2), tensor.Float32, true}, {ints, tensor.Float32, true},
		{ints, tensor.Int32, true}, {ints, tensor.Uint8, true}, {ints, tensor.Int8, false},
		{tensor.Float32s([]float32{1, 200}, 2), tensor.Uint8, true}, {tensor.Float32s([]float32{1, 0.5}, 2), tensor.Uint8, false},
		{half, tensor.Int64, false}, {tensor.Strings([]string{"a"}, 1), tensor.Float32, false}, {half, tensor.Complex64, false},
	}
	for _, r := range rows {
		got, err := convert(r.in, r.to)
		if (err == nil) != r.ok {
			t.Errorf("%v to %v: %v", r.in, r.to, err)
			continue
		}
		if err != nil {
			refused(t, r.to.String(), err, fault.Invalid)
			continue
		}
		if v, err := format.Floats(got); err != nil || got.DType != r.to || !slices.Equal(v, []float64{1, 200}) {
			t.Errorf("%v to %v: %v %v", r.in, r.to, v, err)
		}
	}
}

func TestRandom(t *testing.T) {
	in := inputs(input("x", tensor.Float32, -1, 50, 50), input("ids", tensor.Int64, 1, 7))
	s := open(t, "random:normal", Options{Inputs: in, Seed: 5})
	if s.Len() != 100 || len(s.Info().Warnings) != 1 {
		t.Errorf("%d samples, warnings %q", s.Len(), s.Info().Warnings)
	}
	sum, square := 0.0, 0.0
	a := sample(t, s, 3)
	for _, v := range tensor.Of[float32](a.Inputs["x"]) {
		sum += float64(v)
		square += float64(v) * float64(v)
	}
	if mean, variance := sum/2500, square/2500; math.Abs(mean) > 0.08 || math.Abs(variance-1) > 0.12 { // four deviations
		t.Errorf("mean %v, variance %v", mean, variance)
	}
	ids, err := a.Inputs["ids"].Ints()
	if err != nil || slices.Min(ids) < 0 || slices.Max(ids) >= randomTokens {
		t.Errorf("ids %v %v", ids, err)
	}
	if again := sample(t, open(t, "random:normal", Options{Inputs: in, Seed: 5, Samples: 9}), 3); !bytes.Equal(again.Inputs["x"].Raw, a.Inputs["x"].Raw) {
		t.Error("the same sample of the same seed differs")
	}
	if other := sample(t, s, 4); bytes.Equal(other.Inputs["x"].Raw, a.Inputs["x"].Raw) {
		t.Error("two samples are equal")
	}
	u := sample(t, open(t, "random:uniform", Options{Inputs: in}), 0)
	if lo, hi, ok := u.Range(); !ok || lo < 0 || lo > 0.01 || hi > randomTokens {
		t.Errorf("uniform from %v to %v", lo, hi)
	}
	for path, o := range map[string]Options{"random:cauchy": {Inputs: in}, "random:normal": {}, "random:uniform": {Inputs: inputs(input("x", tensor.Float32, 1, -1))}} {
		_, err := Open(path, o)
		refused(t, path, err, fault.Invalid)
	}
}

// TestPhotographs reads real photographs from several goroutines at once: the order in which
// samples are taken changes nothing.
func TestPhotographs(t *testing.T) {
	dir := testdata.Dir(t, "imagenet-nips2017-256")
	p, err := LoadPreprocess("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{Inputs: inputs(input("input", tensor.Float32, -1, 3, 224, 224)), Preprocess: p, Samples: 12})
	if s.Len() != 12 || s.Info().Total != 250 || !s.Info().Labelled {
		t.Fatalf("%+v", s.Info())
	}
	want := make([]*Sample, s.Len())
	for i := range want {
		want[i] = sample(t, s, i)
	}
	if lo, hi, _ := want[0].Range(); lo < -2.2 || hi > 2.7 {
		t.Errorf("normalised pixels from %v to %v", lo, hi)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := s.Len() - 1; i >= 0; i-- {
				got, err := s.Sample(i)
				if err != nil || got.Label != want[i].Label || !bytes.Equal(got.Inputs["input"].Raw, want[i].Inputs["input"].Raw) {
					t.Errorf("sample %d differs: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRealSets(t *testing.T) {
	fashion := open(t, testdata.Dir(t, "fashion-mnist"), Options{Split: "train", Inputs: inputs(input("x", tensor.Float32, -1, 1, 28, 28))})
	if x := sample(t, fashion, 59999); fashion.Len() != 60000 || x.Label != 5 {
		t.Errorf("%d samples, the last of class %d", fashion.Len(), x.Label)
	}
	cifar := open(t, testdata.Dir(t, "cifar10", "train"), Options{Inputs: inputs(input("x", tensor.Float32, 1, 3, 32, 32))})
	if info := cifar.Info(); cifar.Len() != 2000 || len(info.Classes) != 10 || info.Classes[3] != "cat" {
		t.Errorf("%+v", info)
	}
	tokens := open(t, testdata.Dir(t, "llm", "stories260K-sampled-tokens-64x256.npy"), Options{})
	if tokens.Len() != 64 {
		t.Errorf("%d rows of tokens", tokens.Len())
	}
	silero := open(t, testdata.Dir(t, "models", "silero-vad-v6", "input.npz"),
		Options{Inputs: inputs(input("input", tensor.Float32, 1, 576), input("state", tensor.Float32, 2, -1, 128), input("sr", tensor.Int64))})
	if x := sample(t, silero, 0); silero.Len() != 1 || x.Inputs["sr"].Rank() != 0 {
		t.Errorf("%d samples, %v", silero.Len(), x.Inputs)
	}
}
