package report

import (
	"context"
	"maps"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A Runner evaluates a network and shows the values it was built to show.
type Runner interface {
	RunWatch(ctx context.Context, in map[string]*tensor.Tensor, watch func(value string, t *tensor.Tensor)) (map[string]*tensor.Tensor, error)
}

// A Comparison gathers how two networks differ over samples: at their outputs, and at every value
// that both show under one name.
type Comparison struct {
	Samples, Agree int // samples, and those where the first output has its largest element at the same place
	Outputs        Diff
	Layers         map[string]*Diff
}

// A Pair is two networks and the names of the values to compare: in the first network, and in
// the second where they differ.
type Pair struct {
	A, B    Runner
	Outputs []*graph.Value
	NameInB map[string]string
}

// Add runs one sample through both networks.
func (c *Comparison) Add(ctx context.Context, p Pair, in map[string]*tensor.Tensor) error {
	if c.Layers == nil {
		c.Layers = map[string]*Diff{}
	}
	seen := map[string][]float32{}
	a, err := p.A.RunWatch(ctx, in, func(name string, t *tensor.Tensor) {
		other := name
		if b, ok := p.NameInB[name]; ok {
			other = b
		}
		if x := Floats(t); x != nil {
			seen[other] = slices.Clone(x)
		}
	})
	if err != nil {
		return err
	}
	b, err := p.B.RunWatch(ctx, in, func(name string, t *tensor.Tensor) {
		x, y := seen[name], Floats(t)
		if x == nil || len(x) != len(y) {
			return
		}
		d := c.Layers[name]
		if d == nil {
			d = &Diff{}
			c.Layers[name] = d
		}
		d.Add(x, y)
	})
	if err != nil {
		return err
	}
	c.Samples++
	c.Agree += Outputs(&c.Outputs, p.Outputs, a, b)
	return nil
}

// LayerNames returns the names of the compared values, sorted.
func (c *Comparison) LayerNames() []string { return slices.Sorted(maps.Keys(c.Layers)) }
