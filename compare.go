package lowbit

import (
	"cmp"
	"context"

	"lowbit/internal/fault"
	"lowbit/internal/report"
)

// CompareOptions say on what models are compared.
type CompareOptions struct {
	Data    *Data // samples for the inputs of both models
	Threads int   // 0 means one for each processor; results do not depend on it
}

// A Comparison tells how far the outputs of two models differ, over all samples together: as far as the worst output does.
type Comparison struct {
	Samples int
	SQNR    float64 // signal of the first model to its distance from the second, in dB; 999 where nothing differs
	Cosine  float64 // 0 where an element is not finite in one model alone
	MaxAbs  float64 // greatest difference of two elements; math.MaxFloat64 where one of two is not finite
	Outputs []OutputComparison
	Agree   float64 // share of samples, from 0 to 1, with the same largest element of the first output, or the same whole numbers where none is floats
	Apart   int     // outputs of other sizes, which are not compared
}

// An OutputComparison tells the same of one output.
type OutputComparison struct {
	Name                 string
	SQNR, Cosine, MaxAbs float64
}

// Compare runs samples through two models, such as a float one and what was made of it. Samples that are missing or do not
// fit are errors of kind [ErrInvalid]. Once ctx is done, Compare soon returns its cause.
func Compare(ctx context.Context, a, b *Model, o CompareOptions) (*Comparison, error) {
	if err := cmp.Or(a.check(), b.check()); err != nil {
		return nil, err
	}
	if o.Data == nil {
		return nil, fault.Invalidf("data", "samples are needed to compare the models on")
	}
	sa, err := a.Compile(CompileOptions{Threads: o.Threads})
	if err != nil {
		return nil, fault.At(a.path, err)
	}
	defer sa.Close()
	sb, err := b.Compile(CompileOptions{Threads: o.Threads})
	if err != nil {
		return nil, fault.At(b.path, err)
	}
	defer sb.Close()
	sum, pair := &report.Comparison{}, report.Pair{A: sa, B: sb, Outputs: a.graph.Graph.Out}
	for i := range o.Data.Len() {
		s, err := o.Data.Sample(i)
		if err != nil {
			return nil, err
		}
		if err := sum.Add(ctx, pair, s.Inputs); err != nil {
			return nil, fault.At(s.Name, err)
		}
	}
	c := &Comparison{Samples: sum.Samples, SQNR: sum.Outputs.SQNR(), Cosine: sum.Outputs.Cosine(), MaxAbs: sum.Outputs.MaxAbs(),
		Agree: float64(sum.Agree) / float64(sum.Samples), Apart: sum.Outputs.Apart()}
	for i, d := range sum.Outputs {
		if d.Len() > 0 {
			c.Outputs = append(c.Outputs, OutputComparison{pair.Outputs[i].Name, d.SQNR(), d.Cosine(), d.MaxAbs()})
		}
	}
	return c, nil
}
