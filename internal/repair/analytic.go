package repair

import (
	"context"
	"fmt"

	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// Analytic takes out of each layer's bias the error that its weights make on average: the error of
// each weight times the mean of what it multiplies, which follows from BatchNormalization's statistics
// through the clamp between (Nagel et al. 2019, section 4.2.1): b_j −= Σ_i Σ_k (Ŵ−W)[j,i,k]·E[x_i].
// Where these do not reach, the means are those over samples, if there are any.
var Analytic = &Repair{
	Name: "analytic", Doc: "take the expected error of rounded weights out of the biases, by BatchNormalization's statistics", Stage: After,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) {
		layers := findLayers(j.Net.Graph, j.Plan)
		means, err := expected(ctx, j, layers)
		if err != nil {
			return nil, err
		}
		out, unknown := &Outcome{}, 0
		for _, n := range j.Net.Graph.Nodes {
			l := layers[plan.NodeName(n)]
			if l == nil || l.offset() == "" {
				continue
			}
			mean := means[n.In[0]]
			if mean == nil {
				unknown++
				continue
			}
			if err := j.expectedError(l, mean, out); err != nil {
				return nil, err
			}
		}
		switch {
		case len(out.Changes) > 0:
		case unknown == 0:
			out.Note = "no layer that reads a known mean has a bias of its own to move"
		default:
			out.Note = fmt.Sprintf("the means of what %d layers read are not known: it needs BatchNormalization's statistics, or samples", unknown)
		}
		return out, nil
	},
}

// expectedError moves one layer's bias.
func (j *Job) expectedError(l *layer, mean []float64, out *Outcome) error {
	g := j.Net.Graph
	w, v := g.ConstTensor(l.node.In[l.weight]), j.Plan.Value(l.stored)
	f := format.Lookup(v.Format)
	codes, err := f.QuantizeTensor(w, v.Block, v.Params)
	if err != nil {
		return fmt.Errorf("weight %q: %w", v.Name, err)
	}
	rounded, err := f.DequantizeTensor(codes, v.Block, v.Params)
	if err != nil {
		return fmt.Errorf("weight %q: %w", v.Name, err)
	}
	b := g.ConstTensor(l.offset())
	float := j.origin().Graph.ConstTensor(l.node.In[l.weight]) // another repair may have rounded w already
	x, y, by := tensor.Of[float32](float), tensor.Of[float32](rounded), make([]float64, b.Len())
	fits := true
	known := taps(l.node, w, func(o, i, at int) {
		if fits = fits && i < len(mean) && o < len(by); fits {
			by[o] -= float64((float64(y[at]) - float64(x[at])) * mean[i])
		}
	})
	if !known || !fits {
		return nil
	}
	some, most := 0, 0.0
	for _, d := range by {
		if d != 0 {
			some++
		}
		most = max(most, d, -d)
	}
	if some > 0 {
		g.SetConst(l.offset(), moved(b, by))
		out.add(l.name, "bias of %d of %d channels moved by %.3g at most", some, len(by), most)
		if l.addend != "" {
			out.Changes[len(out.Changes)-1].also(l.adder)
		}
	}
	return nil
}
