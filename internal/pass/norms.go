package pass

import (
	"fmt"
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A Norm is what a BatchNormalization tells of each channel of its result over the data that the
// network was trained on: its mean is the shift β, its deviation the scale |γ| (Nagel et al.,
// Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2).
type Norm struct {
	Mean, Dev []float64
	Share     []float64 // of Dev that the data really had, σ/√(σ²+ε): near 1 unless it hardly varied
}

// PrepareNorms is Prepare that keeps what BatchNormalizations tell before they are folded, by the
// value that they wrote; that value keeps its name.
func PrepareNorms(m *graph.Model) (map[string]Norm, error) {
	norms := map[string]Norm{}
	for _, p := range All {
		if p == BatchNorm {
			findNorms(m.Graph, norms)
		}
		if err := p.Run(m); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return norms, nil
}

// findNorms reads the normalizations of a graph whose parameters are constants.
func findNorms(g *graph.Graph, norms map[string]Norm) {
	for _, n := range g.Nodes {
		if !isBatchNorm(n) {
			continue
		}
		if _, ok := normAffine(g, n); !ok {
			continue
		}
		gamma, beta := tensor.Of[float32](floatConst(g, n.In[1])), tensor.Of[float32](floatConst(g, n.In[2]))
		variance, eps := tensor.Of[float32](floatConst(g, n.In[4])), float64(n.Float("epsilon", 1e-5))
		v := Norm{make([]float64, len(beta)), make([]float64, len(beta)), make([]float64, len(beta))}
		for c := range beta {
			v.Mean[c], v.Dev[c] = float64(beta[c]), math.Abs(float64(gamma[c]))
			v.Share[c] = math.Sqrt(math.Max(0, float64(variance[c])) / (float64(variance[c]) + eps))
		}
		norms[n.Out[0]] = v
	}
}
