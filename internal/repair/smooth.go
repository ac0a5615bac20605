package repair

import (
	"context"
	"math"
	"strconv"
)

// Smooth moves the size of outlying channels of activations into the weights that read them: lane j
// is divided by max|xⱼ|^α / max|wⱼ|^(1−α) (Xiao et al., SmoothQuant, 2023, equation 4). For each set of
// lanes, α is the one with which the results of all that reads them err least.
var Smooth = &Repair{
	Name: "smooth", Doc: "move outliers of activations into the weights that read them", Stage: Before, Data: true,
	Run:     func(ctx context.Context, j *Job) (*Outcome, error) { return migrate(ctx, j, smoothings) },
	Options: "smooth=ALPHA, the same for all, as in smooth=0.5",
	With: func(option string) *Repair {
		alpha, err := strconv.ParseFloat(option, 64)
		if err != nil || !(alpha >= 0 && alpha <= 1) {
			return nil
		}
		return &Repair{Doc: "move outliers of activations into the weights that read them, by one α", Stage: Before, Data: true,
			Run: func(ctx context.Context, j *Job) (*Outcome, error) {
				return migrate(ctx, j, func(s *site) [][]float64 {
					acts, weights := s.columns(math.Max, math.Max)
					return [][]float64{smoothing(acts, weights, alpha)}
				})
			}}
	},
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
		tries = append(tries, smoothing(acts, weights, alphaFrom+alphaStep*float64(k)))
	}
	return tries
}

// smoothing is the factor of each lane for one α, from the largest of its activations and weights. A lane
// that nothing ever activates keeps its size: a factor would swell what a clamp holds back there.
func smoothing(acts, weights []float64, alpha float64) []float64 {
	f := make([]float64, len(acts))
	for i := range f {
		if f[i] = 1; acts[i] > leastSize {
			f[i] = math.Pow(math.Max(weights[i], leastSize), 1-alpha) / math.Pow(acts[i], alpha)
		}
	}
	return f
}
