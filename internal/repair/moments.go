package repair

import (
	"context"
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/pass"
)

// leastDev is the deviation below which a channel is taken to be constant.
const leastDev = 1e-8

// clampedMean is the mean of a normal value, of mean b and deviation d, between bounds:
// E = lo·Φ(a) + b·(Φ(z)−Φ(a)) + d·(φ(a)−φ(z)) + hi·(1−Φ(z)) with a = (lo−b)/d and z = (hi−b)/d
// (Nagel et al. 2019, appendix C).
func clampedMean(b, d, lo, hi float64) float64 {
	if d < leastDev {
		return math.Max(lo, math.Min(hi, b))
	}
	below, above, pa, pz := 0.0, 0.0, 0.0, 0.0
	mean := b
	if !math.IsInf(lo, -1) {
		a := (lo - b) / d
		below, pa = cumulative(a), density(a)
		mean += lo*below - b*below
	}
	if !math.IsInf(hi, 1) {
		z := (hi - b) / d
		above, pz = 1-cumulative(z), density(z)
		mean += hi*above - b*above
	}
	return mean + d*(pa-pz)
}

// cumulative and density are those of the normal distribution.
func cumulative(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func density(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

// expected returns the mean of each channel of the values that layers read: by BatchNormalization's
// statistics where these reach, and over the samples elsewhere.
func expected(ctx context.Context, j *Job, layers map[string]*layer) (map[string][]float64, error) {
	means := map[string][]float64{}
	x := j.Net.Graph.Index()
	for _, n := range j.Net.Graph.Nodes {
		if v, ok := j.Norms[n.Out[0]]; ok {
			means[n.Out[0]] = v.Mean
			clampMeans(j.Net.Graph, x, n.Out[0], v, means)
		} else if m := passMeans(j.Net.Graph, n, means); m != nil {
			means[n.Out[0]] = m
		}
	}
	if len(j.Fit) == 0 {
		return means, nil
	}
	axes := map[string]int{}
	for _, l := range layers {
		in := l.node.In[0]
		if _, known := means[in]; !known && !j.isInput(in) && j.Net.Graph.Const(in) == nil {
			if axes[in] = 1; l.axis < 0 {
				axes[in] = len(j.Facts[in].Shape) - 1
			}
		}
	}
	norms, err := normsOf(ctx, j, axes)
	for name, v := range norms {
		means[name] = v.Mean
	}
	return means, err
}

func (j *Job) isInput(name string) bool { return j.Net.Graph.Input(name) != nil }

// clampMeans follows a normalized value through the clamps that read it.
func clampMeans(g *graph.Graph, x *graph.Index, name string, v pass.Norm, means map[string][]float64) {
	for _, u := range x.Uses(name) {
		l := &layer{lo: math.Inf(-1), hi: math.Inf(1)}
		if u.Node.Op != "Relu" && u.Node.Op != "Clip" || u.In != 0 || !l.narrow(g, u.Node) {
			continue
		}
		m := make([]float64, len(v.Mean))
		for c := range m {
			m[c] = clampedMean(v.Mean[c], v.Dev[c], l.lo, l.hi)
		}
		means[u.Node.Out[0]] = m
	}
}

// passMeans is the mean of the result of an operator that is linear, from those of its operands; nil
// where one is not known.
func passMeans(g *graph.Graph, n *graph.Node, means map[string][]float64) []float64 {
	switch n.Op {
	case "AveragePool", "GlobalAveragePool", "Flatten", "Identity":
		return means[n.In[0]]
	case "Concat":
		if n.Int("axis", 0) != 1 {
			return nil
		}
		var all []float64
		for _, name := range n.In {
			if means[name] == nil {
				return nil
			}
			all = append(all, means[name]...)
		}
		return all
	case "Add":
		a, b := means[n.In[0]], means[n.In[1]]
		if a == nil || len(a) != len(b) {
			return nil
		}
		sum := make([]float64, len(a))
		for c := range a {
			sum[c] = a[c] + b[c]
		}
		return sum
	}
	return nil
}
