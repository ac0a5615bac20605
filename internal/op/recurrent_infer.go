package op

import (
	"lowbit/internal/graph"
)

// inferRecurrent returns the inference of a recurrent operator.
func inferRecurrent(kind cell) func(*Inference) ([]Fact, error) {
	return func(c *Inference) ([]Fact, error) { return inferRecurrence(c, kind, 2) }
}

// inferRecurrence infers the results of a cell whose recurrence weight has the hidden units along an axis.
func inferRecurrence(c *Inference, kind cell, axis int) ([]Fact, error) {
	x, r := c.Input(0), c.Input(2)
	dirs, err := directionsOf(c.Node)
	if err != nil {
		return nil, err
	}
	seq, batch, hidden, dir := graph.Unknown, graph.Unknown, graph.Unknown, graph.Known(dirs)
	if x.Ranked {
		if len(x.Shape) != 3 {
			return nil, invalidf("%s, three dimensions are needed", x.Type)
		}
		seq, batch = x.Shape[0], x.Shape[1]
	}
	if h := c.Int("hidden_size", 0); h > 0 {
		hidden = graph.Known(h)
	} else if r.Ranked && len(r.Shape) == 3 {
		hidden = r.Shape[axis]
	}
	y, s := []graph.Dim{seq, dir, batch, hidden}, []graph.Dim{dir, batch, hidden}
	if c.Int("layout", 0) == 1 {
		seq, batch = batch, seq
		y, s = []graph.Dim{batch, seq, dir, hidden}, []graph.Dim{batch, dir, hidden}
	}
	out := []graph.Type{graph.OfDims(x.DType, y)}
	for range kind.states {
		out = append(out, graph.OfDims(x.DType, s))
	}
	return Typed(out...), nil
}
