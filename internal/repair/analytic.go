package repair

import (
	"context"
	"fmt"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
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
		var list []*layer
		for _, n := range j.Net.Graph.Nodes {
			l := layers[plan.NodeName(n)]
			switch {
			case l == nil || l.offset() == "":
			case means[n.In[0]] == nil:
				unknown++
			default:
				list = append(list, l)
			}
		}
		origin, by := j.origin(), make([][]float64, len(list))
		err = calib.Each(ctx, len(list), j.Threads, func(_ context.Context, i int) (err error) {
			by[i], err = j.expectedError(list[i], means[list[i].node.In[0]], origin)
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, l := range list {
			j.moveBias(l, by[i], out)
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

// expectedError is by how much one layer's bias has to move, for each channel; nil where that is not known.
func (j *Job) expectedError(l *layer, mean []float64, origin *graph.Model) ([]float64, error) {
	g := j.Net.Graph
	w, v := g.ConstTensor(l.node.In[l.weight]), j.Plan.Value(l.stored)
	f := format.Lookup(v.Format)
	codes, err := f.QuantizeTensor(w, v.Block, v.Params)
	if err != nil {
		return nil, fmt.Errorf("weight %q: %w", v.Name, err)
	}
	rounded, err := f.DequantizeTensor(codes, v.Block, v.Params)
	if err != nil {
		return nil, fmt.Errorf("weight %q: %w", v.Name, err)
	}
	float := origin.Graph.ConstTensor(l.node.In[l.weight]) // another repair may have rounded w already
	x, y, by := tensor.Of[float32](float), tensor.Of[float32](rounded), make([]float64, g.ConstTensor(l.offset()).Len())
	fits := true
	known := taps(l.node, w, func(o, i, at int) {
		if fits = fits && i < len(mean) && o < len(by); fits {
			by[o] -= float64((float64(y[at]) - float64(x[at])) * mean[i])
		}
	})
	if !known || !fits {
		return nil, nil
	}
	return by, nil
}

// moveBias adds to one layer's bias, and tells of it.
func (j *Job) moveBias(l *layer, by []float64, out *Outcome) {
	some, most := 0, 0.0
	for _, d := range by {
		if d != 0 {
			some++
		}
		most = max(most, d, -d)
	}
	if some == 0 {
		return
	}
	g := j.Net.Graph
	g.SetConst(l.offset(), moved(g.ConstTensor(l.offset()), by))
	out.add(l.name, "bias of %d of %d channels moved by %.3g at most", some, len(by), most)
	if l.addend != "" {
		out.Changes[len(out.Changes)-1].also(l.adder)
	}
}
