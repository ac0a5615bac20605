package repair

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
)

// studentBlocks makes blocks of 64 weights from Student's t with four degrees of freedom, with parameters that cover them.
func studentBlocks(f *format.Format, n int) (blocks [][]float32, params []format.Params) {
	r := rand.New(rand.NewPCG(51, 52))
	for range n {
		x := make([]float32, 64)
		lo, hi := 0.0, 0.0
		for i := range x {
			chi := 0.0
			for range 4 {
				z := r.NormFloat64()
				chi += z * z
			}
			v := r.NormFloat64() / math.Sqrt(chi/4)
			x[i] = float32(v)
			lo, hi = min(lo, v), max(hi, v)
		}
		blocks, params = append(blocks, x), append(params, f.Cover(lo, hi, !f.Zero))
	}
	return blocks, params
}

// TestRefitGains holds each search against rounding to nearest on weights with heavy tails: HQQ gains a few
// per cent of the mean error, and more of what two bits err whose parameters cover outliers.
func TestRefitGains(t *testing.T) {
	for _, c := range []struct {
		name        string
		f           *format.Format
		find        func(*format.Format, []float32, format.Params) format.Params
		miss        func(*format.Format, []float32, format.Params) float64
		least, most float64 // of the gain
	}{
		{"hqq", format.Uint2, halfQuadratic, meanError, 0.01, 0.3},
		{"hqq", format.Uint4, halfQuadratic, meanError, 0.01, 0.12},
		{"hqq", format.Int4, halfQuadratic, meanError, 0.01, 0.12},
		{"kquant", format.Uint4, kSearch, weightedError, 0.05, 0.6},
		{"kquant", format.Int4, kSearch, weightedError, 0.05, 0.6},
	} {
		before, after := 0.0, 0.0
		blocks, params := studentBlocks(c.f, 400)
		for i, x := range blocks {
			was := c.miss(c.f, x, params[i])
			before += was
			after += min(was, c.miss(c.f, x, c.find(c.f, x, params[i])))
		}
		gain := 1 - after/before
		t.Logf("%s on %s: error less by %.1f %%", c.name, c.f.Name, 100*gain)
		if gain < c.least || gain > c.most {
			t.Errorf("%s on %s: error less by %.1f %%", c.name, c.f.Name, 100*gain)
		}
	}
}

// TestRefit makes the repairs on a network without samples.
func TestRefit(t *testing.T) {
	for _, r := range []*Repair{HQQ, KQuant} {
		for _, f := range []*format.Format{format.Int4, format.Uint4} {
			float := plantedBlock(t)
			set := w8a8(t)
			set.Mode, set.Weights.Format, set.Weights.Block = plan.Weights, f, format.Block{}
			j := jobFor(t, pass.Clone(float), set, nil, nil)
			if err := j.Plan.Fit(j.Net, nil, set, 1); err != nil {
				t.Fatal(err)
			}
			for _, v := range j.Plan.Values { // parameters that merely cover the weights
				lo, hi := v.Block.Ranges(floats(j.Net, v.Name), j.Net.Graph.ConstTensor(v.Name).Shape)
				for i := range v.Params {
					v.Params[i] = f.Cover(float64(lo[i]), float64(hi[i]), !f.Zero)
				}
			}
			out, err := r.Run(context.Background(), j)
			if err != nil {
				t.Fatal(err)
			}
			if r == KQuant && len(out.Changes) == 0 || len(out.Changes) == 0 && out.Note == "" {
				t.Errorf("%s, %s: %v %q", r.Name, f.Name, out.Changes, out.Note)
			}
			j.quantized(t)
			t.Log(r.Name, f.Name, out.Changes)
		}
	}
}
