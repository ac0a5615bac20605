package repair

import (
	"context"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// HQQ finds the parameters of each block of weights with the least error by a norm below 1, which
// outliers sway little: by turns it takes out of the errors what a shrinkage keeps of them, and fits the
// scale, and the zero point where there is one, to the rest (Badri and Shaji, Half-Quadratic Quantization,
// 2023). It needs no samples.
var HQQ = &Repair{
	Name: "hqq", Doc: "fit scales or zero points of weights without samples, outliers swaying little", Stage: After,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) {
		return refit(ctx, j, search{halfQuadratic, meanError})
	},
}

// KQuant searches the scale of each block of weights as llama.cpp does for its K quants: several steps
// are tried, and for the codes of each the scale is refitted by least squares in which large weights
// count more. It needs no samples.
var KQuant = &Repair{
	Name: "kquant", Doc: "search scales of weights without samples, large ones counting more", Stage: After,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) {
		return refit(ctx, j, search{kSearch, weightedError})
	},
}

// A search looks for other parameters of a block, and says how much it errs with some.
type search struct {
	find func(f *format.Format, x []float32, p format.Params) format.Params
	miss func(f *format.Format, x []float32, p format.Params) float64
}

// refit gives every block of the weights the parameters that a search finds, if they err less.
func refit(ctx context.Context, j *Job, s search) (*Outcome, error) {
	out := &Outcome{}
	for n, v := range j.Plan.Values {
		t, f := j.Net.Graph.ConstTensor(v.Name), format.Lookup(v.Format)
		if v.Role != plan.RoleWeight || t == nil || t.DType != tensor.Float32 || f.Lo >= f.Hi || f.Snap != nil || f.Scale != nil {
			continue
		}
		if v.Like != "" || slices.ContainsFunc(j.Plan.Values, func(w *plan.Value) bool { return w.Like == v.As }) {
			continue
		}
		r, err := Once(j.Journal, v.As, func() (*refitted, error) {
			return s.weight(ctx, j.Threads, f, v, t)
		})
		if err != nil {
			return nil, err
		}
		if r.Moved > 0 {
			out.add(v.Name, "parameters of %d of %d blocks fitted anew: error less by %.1f %%", r.Moved, len(r.Params), 100*(1-r.After/r.Before))
			if err := j.Plan.Rescale(j.Net, v.As, r.Params); err != nil {
				return nil, err
			}
		}
		j.progress(n+1, len(j.Plan.Values))
	}
	if len(out.Changes) == 0 {
		out.Note = "no block of weights errs less with other parameters"
	}
	return out, nil
}

// A refitted is new parameters of the blocks of one weight.
type refitted struct {
	Params        []format.Params // nil where none moved
	Moved         int
	Before, After float64 // the error of all blocks
}

// weight looks for the parameters of each block of a weight.
func (s search) weight(ctx context.Context, threads int, f *format.Format, v *plan.Value, t *tensor.Tensor) (*refitted, error) {
	blocks := v.Block.Blocks(tensor.Of[float32](t), t.Shape)
	params, before, after := slices.Clone(v.Params), make([]float64, len(blocks)), make([]float64, len(blocks))
	err := calib.Each(ctx, len(blocks), threads, func(_ context.Context, i int) error {
		before[i] = s.miss(f, blocks[i], params[i])
		after[i] = before[i]
		p := s.find(f, blocks[i], params[i])
		if e := s.miss(f, blocks[i], p); e < before[i] && p.Scale >= 0x1p-126 {
			params[i], after[i] = p, e
		}
		return nil
	})
	r := &refitted{}
	for i := range params {
		if after[i] < before[i] {
			r.Moved++
		}
		r.Before, r.After = r.Before+before[i], r.After+after[i]
	}
	if r.Moved > 0 {
		r.Params = params
	}
	return r, err
}

// meanError is the sum of the magnitudes of rounding errors.
func meanError(f *format.Format, x []float32, p format.Params) float64 {
	sum := 0.0
	for _, v := range x {
		sum += math.Abs(f.Nearest(float64(v), p) - float64(v))
	}
	return sum
}

const (
	hqqRounds = 20
	hqqNorm   = 0.7
	hqqBeta   = 10 // at first; in units of a step
	hqqGrowth = 1.01
)

// halfQuadratic is section 3 of HQQ. The shrinkage works on errors in steps, so that the size of the
// weights does not matter. Zero points are whole numbers, so that the scale is fitted too, by turns.
func halfQuadratic(f *format.Format, x []float32, p format.Params) format.Params {
	best, least, beta := p, meanError(f, x, p), float64(hqqBeta)
	for round := range hqqRounds {
		s, off, num, den := float64(p.Scale), 0.0, 0.0, 0.0
		for _, v := range x {
			w := float64(v)
			q := f.Nearest(w, p) / s
			e := w/s - q
			if a := math.Abs(e); a > 0 {
				e = math.Copysign(max(0, a-math.Pow(a, hqqNorm-1)/beta), e)
			}
			rest := w/s - e
			off += (q - rest) / float64(len(x))
			num, den = num+rest*q, den+q*q
		}
		switch {
		case f.Zero && round%2 == 0:
			p.Zero = int32(max(float64(f.Lo), min(float64(f.Hi), math.RoundToEven(float64(p.Zero)+off))))
		case den > 0:
			p.Scale = float32(s * num / den)
		}
		if e := meanError(f, x, p); e < least {
			best, least = p, e
		} else if round > 0 && (!f.Zero || round%2 == 1) {
			break
		}
		beta *= hqqGrowth
	}
	return best
}

// stress is how much an element counts in a K search: by its magnitude over the root mean square.
func stress(x []float32) func(v float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	rms := math.Sqrt(sum / float64(max(1, len(x))))
	return func(v float64) float64 { return rms + math.Abs(v) }
}

func weightedError(f *format.Format, x []float32, p format.Params) float64 {
	weight, sum := stress(x), 0.0
	for _, v := range x {
		e := f.Nearest(float64(v), p) - float64(v)
		sum += weight(float64(v)) * e * e
	}
	return sum
}

// The steps that a K search tries: (n+rmin+rdelta·k)/range for a grid of n steps.
const (
	kFrom, kStep = -1, 0.1
	kTries       = 20
)

// kSearch tries several scales, each refitted to its codes.
func kSearch(f *format.Format, x []float32, first format.Params) format.Params {
	lo, hi := 0.0, 0.0
	for _, v := range x {
		lo, hi = min(lo, float64(v)), max(hi, float64(v))
	}
	steps, width := float64(f.Hi-f.Lo), hi-lo
	if !f.Zero {
		steps, width = float64(f.Hi), max(-lo, hi)
	}
	if width == 0 {
		return first
	}
	best, least := first, weightedError(f, x, first)
	for k := range kTries + 1 {
		p := format.Params{Scale: float32(width / (steps + kFrom + kStep*float64(k)))}
		if f.Zero {
			p.Zero = int32(max(float64(f.Lo), min(float64(f.Hi), math.RoundToEven(float64(f.Lo)-lo/float64(p.Scale)))))
		}
		for range 2 { // as it is, and refitted
			if e := weightedError(f, x, p); p.Scale >= 0x1p-126 && e < least {
				best, least = p, e
			}
			p.Scale = leastSquares(f, x, p)
		}
	}
	return best
}

// leastSquares is the scale with which the codes of x come nearest to it.
func leastSquares(f *format.Format, x []float32, p format.Params) float32 {
	weight, num, den := stress(x), 0.0, 0.0
	for _, v := range x {
		q := f.Nearest(float64(v), p) / float64(p.Scale)
		w := weight(float64(v))
		num, den = num+w*float64(v)*q, den+w*q*q
	}
	if den == 0 {
		return 0
	}
	return float32(num / den)
}
