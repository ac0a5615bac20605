package repair

import (
	"context"
	"math/rand/v2"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// spoken computes the length of its second half from what the first yields, as networks that speak do: quantized, it
// is another for nearly every sample.
const spoken = header + `g (float[1,4,64] x) => (float[1,6,N] y) <float[8,4,3] w, float[8] wb, float[6,8,1] v, float[6] vb, float loud = {1000}, float thirty = {30}, int64[1] zero = {0}, int64[1] twenty = {20}, int64[1] last = {2}> {
  [first] a = Conv <pads = [1, 1]> (x, w, wb)
  sum = ReduceSum <keepdims = 0> (a)
  far = Mul (sum, loud)
  size = Abs (far)
  rest = Mod <fmod = 1> (size, thirty)
  whole = Cast <to = 7> (rest)
  length = Add (whole, twenty)
  cut = Slice (a, zero, length, last)
  [second] b = Conv (cut, v, vb)
  y = Relu (b)
}`

// TestUneven makes each repair that compares with samples where layers come out longer or shorter than in float: these
// samples tell nothing of the layers behind the cut, and the layer before it gains.
func TestUneven(t *testing.T) {
	for _, r := range []*Repair{Bias, GPTQ, AdaRound, BRECQ, Analytic, AWQ, AWQClip, Smooth} {
		for _, n := range []int{1, 24} {
			m, rnd := parse(t, spoken), rand.New(rand.NewPCG(71, 72))
			one := func(int) float64 { return 1 }
			fill(m, rnd, "w", one, 8, 4, 3)
			fill(m, rnd, "wb", one, 8)
			fill(m, rnd, "v", one, 6, 8, 1)
			fill(m, rnd, "vb", one, 6)
			set := w8a8(t)
			set.Weights.Format = format.Int4
			samples := images(rnd, m, n)
			j := jobFor(t, m, set, samples[:(n+1)/2], samples[(n+1)/2:])
			j.calibrate(t)
			out, err := r.Run(context.Background(), j)
			if err != nil {
				t.Fatalf("%s with %d samples: %v", r.Name, n, err)
			}
			for _, c := range out.Changes {
				if r == Bias && c.Place == "second" {
					t.Errorf("the bias behind the cut: %s", c.What)
				}
			}
		}
	}
}

// TestUnlike leaves a sample out whose kept elements are as many as in float, but lie elsewhere.
func TestUnlike(t *testing.T) {
	s := seen{[]int{1, 2, 40}, spread(tensor.New(tensor.Float32, 1, 2, 40), 1, 8)}
	for _, c := range []struct {
		shape []int
		like  bool
	}{{[]int{1, 2, 40}, true}, {[]int{1, 2, 41}, false}, {[]int{1, 2, 4, 10}, false}} {
		if x := tensor.New(tensor.Float32, c.shape...); s.like(x) != c.like || len(spread(x, 1, 8)) != len(s.x) {
			t.Errorf("%v is like %v: %v", c.shape, s.shape, !c.like)
		}
	}
	if (&seen{}).like(tensor.New(tensor.Float32)) {
		t.Error("a layer that was not seen is like a number")
	}
}
