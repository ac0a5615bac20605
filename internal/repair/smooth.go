package repair

import (
	"context"
	"math"
)

// Smooth moves the size of outlying channels of activations into the weights that read them: lane j
// is divided by max|xⱼ|^α / max|wⱼ|^(1−α) (Xiao et al., SmoothQuant, 2023, equation 4). For each set of
// lanes, α is the one with which the results of all that reads them err least.
var Smooth = &Repair{
	Name: "smooth", Doc: "move outliers of activations into the weights that read them", Stage: Before, Data: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) { return migrate(ctx, j, smoothings) },
}

const (
	alphaFrom, alphaTo, alphaStep = 0.3, 1, 0.05
	leastSize                     = 1e-5 // of a channel
)

// smoothings lists the factors of each α.
func smoothings(s *site) [][]float64 {
	acts, weights := s.columns(math.Max, math.Max)
	var tries [][]float64
	for k := 0; alphaFrom+alphaStep*float64(k) < alphaTo+alphaStep/2; k++ {
		alpha := alphaFrom + alphaStep*float64(k)
		f := make([]float64, len(acts))
		for i := range f {
			f[i] = math.Pow(math.Max(weights[i], leastSize), 1-alpha) / math.Pow(math.Max(acts[i], leastSize), alpha)
		}
		tries = append(tries, f)
	}
	return tries
}
