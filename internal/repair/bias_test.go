package repair

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

func floats(m *graph.Model, name string) []float32 {
	return tensor.Of[float32](m.Graph.ConstTensor(name))
}

// coarse is a block whose weights have four bits only, behind inputs of positive mean: each layer's
// result is off by a constant.
func coarse(t *testing.T) (*Job, *graph.Model, []calib.Inputs) {
	float := plantedBlock(t)
	samples := images(rand.New(rand.NewPCG(11, 12)), float, 32)
	for _, s := range samples {
		x := tensor.Of[float32](s()["x"])
		for i := range x {
			x[i] += 2
		}
	}
	set := w8a8(t)
	set.Weights.Format = format.Int4
	j := jobFor(t, pass.Clone(float), set, samples[:12], samples[12:24])
	j.calibrate(t)
	return j, float, samples[24:]
}

func TestBias(t *testing.T) {
	j, float, fresh := coarse(t)
	before := sqnr(t, float, j.quantized(t), fresh)
	out, err := Bias.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	if after := sqnr(t, float, j.quantized(t), fresh); after < before+2 {
		t.Errorf("%.1f dB before, %.1f after: %v", before, after, out.Changes)
	}
	if len(out.Changes) < 2 {
		t.Errorf("changes: %v", out.Changes)
	}
	if slices.Equal(floats(j.Net, "wb"), floats(float, "wb")) {
		t.Error("the bias of the network is as it was")
	}
	if !slices.Equal(floats(j.Net, "w"), floats(float, "w")) {
		t.Error("the weights changed")
	}
}

// TestBiasOfAdds moves what an Add behind a product adds, by both ways, and tells which node that is.
func TestBiasOfAdds(t *testing.T) {
	once, err := Pick("bias=once")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Repair{Bias, once} {
		j := added(t)
		float := pass.Clone(j.Net)
		fresh := images(rand.New(rand.NewPCG(65, 66)), float, 12)
		before := sqnr(t, float, j.quantized(t), fresh)
		out, err := r.Run(context.Background(), j)
		if err != nil {
			t.Fatal(err)
		}
		if after := sqnr(t, float, j.quantized(t), fresh); after < before+1 {
			t.Errorf("%s: %.1f dB before, %.1f after: %v", r.Name, before, after, out.Changes)
		}
		for _, c := range out.Changes {
			if !slices.Equal(c.Also, []string{"s" + c.Place[1:]}) {
				t.Errorf("%s: the change of %s is in %q too", r.Name, c.Place, c.Also)
			}
			if name := "b" + c.Place[1:]; slices.Equal(floats(j.Net, name), floats(float, name)) {
				t.Errorf("%s: %s is as it was", r.Name, name)
			}
		}
		if len(out.Changes) < 3 {
			t.Errorf("%s: changes: %v", r.Name, out.Changes)
		}
	}
}

// TestBiasDeterminism makes the repair on one thread and on three.
func TestBiasDeterminism(t *testing.T) {
	var first []byte
	for _, threads := range []int{1, 3} {
		j, _, _ := coarse(t)
		j.Threads = threads
		if _, err := Bias.Run(context.Background(), j); err != nil {
			t.Fatal(err)
		}
		b, err := onnx.Encode(j.quantized(t))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if !bytes.Equal(first, b) {
			t.Errorf("%d threads give another network", threads)
		}
	}
}

// TestBiasRoom keeps nothing between the layers of either network but what has to be, and gives the same network, also where
// the float one is run anew for each layer.
func TestBiasRoom(t *testing.T) {
	const layers = againMost + 3
	var first []byte
	for _, room := range []int{wantBytes, 1} {
		j := addedLayers(t, layers)
		c := &corrector{track: newTrack(j)}
		if err := c.start(t.Context(), func(l *layer) bool { return l.offset() != "" }); err != nil {
			t.Fatal(err)
		}
		c.walk.most, c.plain.walk.most, c.bytes = room, room, room
		if err := c.each(t.Context(), c.piece); err != nil {
			t.Fatal(err)
		}
		b, err := onnx.Encode(j.quantized(t))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if !bytes.Equal(first, b) {
			t.Errorf("%d bytes of room give another network", room)
		}
		done := againMost + 1
		if room > 1 {
			done = len(c.walk.pieces) - 1
		}
		if c.walk.done != done || len(c.out.Changes) < layers/2 {
			t.Errorf("%d bytes of room: %d of %d pieces are kept, not %d; changes %v", room, c.walk.done, len(c.walk.pieces), done, c.out.Changes)
		}
	}
}

// TestFloatsOutOfOrder asks for the results of layers behind whose pieces the float network is already.
func TestFloatsOutOfOrder(t *testing.T) {
	started := func() *track {
		c := newTrack(addedLayers(t, 3))
		if err := c.start(t.Context(), func(l *layer) bool { return true }); err != nil {
			t.Fatal(err)
		}
		return c
	}
	want, got := started(), started()
	for k := range want.walk.pieces {
		if err := want.float(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range slices.Backward(got.walk.pieces) {
		if err := got.floats(t.Context(), []*piece{p}, true); err != nil {
			t.Fatal(err)
		}
	}
	for i, layers := range want.want {
		if len(layers) != 3 || len(got.want[i]) != 3 {
			t.Fatalf("sample %d: %d and %d layers", i, len(layers), len(got.want[i]))
		}
		for name, w := range layers {
			near := func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-5 } // the network is cut elsewhere
			if g := got.want[i][name]; !slices.Equal(g.shape, w.shape) || !slices.EqualFunc(g.x, w.x, near) || len(w.x) == 0 {
				t.Fatalf("sample %d, %s: %v, want %v", i, name, head(g.x, 8), head(w.x, 8))
			}
		}
	}
}

// TestBiasNeedsEnough leaves a classifier alone of which one sample shows one element a channel.
func TestBiasNeedsEnough(t *testing.T) {
	m := parse(t, header+`g (float[1,4] x) => (float[1,3] y) <float[3,4] w, float[3] b> {
  y = Gemm <transB = 1> (x, w, b)
}`)
	r := rand.New(rand.NewPCG(13, 14))
	fill(m, r, "w", func(int) float64 { return 1 }, 3, 4)
	fill(m, r, "b", func(int) float64 { return 1 }, 3)
	s := images(r, m, 4)
	set := w8a8(t)
	set.Weights.Format = format.Int4
	j := jobFor(t, m, set, s[:2], s[2:])
	j.calibrate(t)
	out, err := Bias.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Changes) != 0 || out.Note == "" {
		t.Errorf("changes %v, note %q", out.Changes, out.Note)
	}
	j.Fit = nil
	if out, err = Bias.Run(context.Background(), j); err != nil || out.Note == "" {
		t.Errorf("without samples: %v, %v", out, err)
	}
}

func TestSpread(t *testing.T) {
	x := tensor.Float32s([]float32{0, 1, 2, 3, 10, 11, 12, 13, 100, 101, 102, 103, 110, 111, 112, 113}, 2, 2, 4)
	if got, want := spread(x, 1, 99), []float32{0, 1, 2, 3, 100, 101, 102, 103, 10, 11, 12, 13, 110, 111, 112, 113}; !slices.Equal(got, want) {
		t.Errorf("all: %v, want %v", got, want)
	}
	for n := 1; n < 200; n++ {
		if s := coprime(n); gcd(s, n) != 1 {
			t.Errorf("coprime(%d) = %d", n, s)
		}
	}
	few := spread(x, 1, 3)
	if len(few) != 6 || slices.Compact(slices.Sorted(slices.Values(few)))[5] < 10 {
		t.Errorf("few: %v", few)
	}
}

func TestSmallest(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for n := 1; n < 60; n++ {
		x := make([]float64, n)
		for i := range x {
			if x[i] = float64(r.IntN(n)); r.IntN(20) == 0 {
				x[i] = math.NaN()
			}
		}
		want := slices.Sorted(slices.Values(x))
		for k := range n {
			if got := smallest(slices.Clone(x), k); got != want[k] && (got == got || want[k] == want[k]) {
				t.Fatalf("place %d of %v is %v, want %v", k, x, got, want[k])
			}
		}
	}
}

// TestBiasAimsAtFloat makes biases repair a network whose weights another repair has moved already: what
// counts is the float network as it was before.
func TestBiasAimsAtFloat(t *testing.T) {
	j, float, fresh := coarse(t)
	j.Origin = float
	dw := j.Net.Graph.ConstTensor("dw")
	w := slices.Clone(tensor.Of[float32](dw))
	for i := range w {
		w[i] += 0.05
	}
	j.Net.Graph.SetConst("dw", tensor.Float32s(w, dw.Shape...))
	before := sqnr(t, float, j.quantized(t), fresh)
	out, err := Bias.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	if after := sqnr(t, float, j.quantized(t), fresh); after < before+3 {
		t.Errorf("%.1f dB before, %.1f after: %v", before, after, out.Changes)
	}
}
