package report

import (
	"context"
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
	Samples, Agree int // samples, and those where the first output agrees, as in Diffs.Add
	Outputs        Diffs
	Layers         map[string]*Diff
}

// A Pair is two networks and the names of the values to compare.
type Pair struct {
	A, B    Runner
	Outputs []*graph.Value
	NameInB map[string]string // by the name in A; a value that is not there has one name in both
	// ReadB returns the numbers of a value of B, nil where it has none; nil takes float32 as it is.
	ReadB func(name string, t *tensor.Tensor) []float32
	// See is shown every pair of values that are compared, under the name in A; it may be nil.
	See func(name string, a, b []float32)
}

// Add runs one sample through both networks. Layers are called as they are in A.
func (c *Comparison) Add(ctx context.Context, p Pair, in map[string]*tensor.Tensor) error {
	if c.Layers == nil {
		c.Layers = map[string]*Diff{}
	}
	seen := map[string]shown{}
	a, err := p.A.RunWatch(ctx, in, func(name string, t *tensor.Tensor) {
		other := name
		if b, ok := p.NameInB[name]; ok {
			other = b
		}
		if x := Floats(t); x != nil {
			seen[other] = shown{name, slices.Clone(x)}
		}
	})
	if err != nil {
		return err
	}
	b, err := p.B.RunWatch(ctx, in, func(name string, t *tensor.Tensor) {
		if s, ok := seen[name]; ok {
			c.layer(s, p.readB(name, t), p.See)
		}
	})
	if err != nil {
		return err
	}
	c.Samples++
	c.Agree += c.Outputs.Add(p.Outputs, a, b)
	return nil
}

// shown is a value of network A and its name there.
type shown struct {
	name string
	x    []float32
}

func (p *Pair) readB(name string, t *tensor.Tensor) []float32 {
	if p.ReadB != nil {
		return p.ReadB(name, t)
	}
	return Floats(t)
}

// layer compares a value with its counterpart, if that has the same size.
func (c *Comparison) layer(s shown, y []float32, see func(name string, a, b []float32)) {
	if len(s.x) != len(y) {
		return
	}
	d := c.Layers[s.name]
	if d == nil {
		d = &Diff{}
		c.Layers[s.name] = d
	}
	d.Add(s.x, y)
	if see != nil {
		see(s.name, s.x, y)
	}
}
