package quantize

import (
	"context"
	"fmt"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
)

// A part is what trimming tries alone: the weights of some operators, or where there are none, activations.
type part struct {
	name string
	ops  []string
}

// trimmed are the parts of a network in the order of Ristretto's analysis (Gysel et al., Ristretto, 2016,
// section V): parameters of convolutions, of fully connected layers, and what layers put out.
var trimmed = []part{
	{"weights of convolutions", []string{"Conv", "ConvTranspose"}},
	{"weights of matrices", []string{"Gemm", "MatMul"}},
	{"activations", nil},
}

// trimSteps are the formats that are tried, the fewest bits first.
var trimSteps = []*format.Format{format.Ristretto4, format.Ristretto8}

// trim finds for each part alone the fewest bits of dynamic fixed point with which the network still answers
// as it does in float, up to the margin of the settings, and returns settings with all of them. A part
// that eight bits do not suffice for stays in float.
func trim(ctx context.Context, m *graph.Model, o Options) (plan.Settings, string, error) {
	base := o.Settings
	base.Weights, base.Acts, base.Trim, base.Exact, base.Ends = plan.Scheme{}, plan.Scheme{}, 0, false, false
	if o.Data == nil {
		return base, "", fault.Invalidf("trim", "answers are compared on samples").WithHint("give `data`")
	}
	final := base
	final.Mode = plan.Weights
	var told []string
	for _, p := range trimmed {
		if p.ops == nil && o.Settings.Mode == plan.Weights {
			continue
		}
		f, agree, err := p.fewest(ctx, m, o, base)
		switch {
		case err != nil:
			return base, "", err
		case f == nil:
			told = append(told, fmt.Sprintf("%s stay in float", p.name))
			if p.ops != nil {
				p.apply(&final, nil)
			}
			continue
		}
		told = append(told, fmt.Sprintf("%s take %s (alone the same answer on %.0f %% of the samples)", p.name, f.Name, 100*agree))
		p.apply(&final, f)
	}
	if final.Float() {
		return base, "", fault.Unsupportedf("trim", "no part keeps the network's answers in eight bits: %s", strings.Join(told, "; "))
	}
	if final.Mode == plan.Static { // of operators that no part names
		final.Weights = plan.Scheme{Format: format.Ristretto8}
	}
	return final, strings.Join(told, "; "), nil
}

// fewest returns the format with the fewest bits that the part alone may take, and how many answers stay;
// nil where there is none.
func (p part) fewest(ctx context.Context, m *graph.Model, o Options, base plan.Settings) (*format.Format, float64, error) {
	for _, f := range trimSteps {
		t := o
		t.Settings, t.Fix, t.Recipe, t.Journal, t.picking = base, []string{"none"}, "", nil, true
		t.Settings.Mode = plan.Weights
		p.apply(&t.Settings, f)
		if p.ops == nil {
			t.Settings.Weights = plan.Scheme{Format: format.Int16} // as good as float
		}
		r, err := Run(ctx, m, t)
		if err != nil && fault.KindOf(err) == fault.Unsupported {
			return nil, 0, nil // the network has no such part
		}
		if err != nil {
			return nil, 0, err
		}
		if r.Gate != nil && r.Gate.Agree >= 1-o.Settings.Trim {
			return f, r.Gate.Agree, nil
		}
	}
	return nil, 0, nil
}

// apply gives the part a format in settings; nil is float.
func (p part) apply(s *plan.Settings, f *format.Format) {
	if p.ops == nil {
		s.Mode, s.Acts = plan.Static, plan.Scheme{Format: f}
		return
	}
	for _, name := range p.ops {
		match, err := plan.ParsePattern("op:" + name)
		if err != nil {
			panic(err)
		}
		s.Overrides = append(s.Overrides[:len(s.Overrides):len(s.Overrides)], plan.Override{Match: match, Weights: &plan.Scheme{Format: f}})
	}
}
