package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A scanPlan is what a Scan does, in the terms of opset 9: n states and then the scanned inputs.
type scanPlan struct {
	body             *graph.Graph
	states           int
	inAxes, outAxes  []int
	inBack, outBack  []bool // from the end to the start
	inputs, scanOuts int
}

// planScan reads the attributes of a Scan that has the given number of states and scanned inputs.
func planScan(n *graph.Node, operands int) (*scanPlan, error) {
	p := &scanPlan{body: n.Graph("body"), inputs: n.Int("num_scan_inputs", 0)}
	p.states = operands - p.inputs
	if p.inputs < 1 || p.states < 0 || len(p.body.In) != operands || len(p.body.Out) < p.states {
		return nil, invalidf("a body of %d inputs and %d outputs for %d operands, %d of them scanned",
			len(p.body.In), len(p.body.Out), operands, p.inputs)
	}
	p.scanOuts = len(p.body.Out) - p.states
	p.inAxes, p.outAxes = n.Ints("scan_input_axes"), n.Ints("scan_output_axes")
	back := n.Ints("scan_input_directions")
	if back == nil {
		back = n.Ints("directions") // opset 8
	}
	p.inBack, p.outBack = flags(back, p.inputs), flags(n.Ints("scan_output_directions"), p.scanOuts)
	if p.inAxes == nil {
		p.inAxes = make([]int, p.inputs)
	}
	if p.outAxes == nil {
		p.outAxes = make([]int, p.scanOuts)
	}
	if len(p.inAxes) != p.inputs || len(p.inBack) != p.inputs || len(p.outAxes) != p.scanOuts || len(p.outBack) != p.scanOuts {
		return nil, invalidf("the lists of axes and directions do not fit %d scanned inputs and %d outputs", p.inputs, p.scanOuts)
	}
	return p, nil
}

// flags reads a list of 0 and 1; n zeros where it is absent.
func flags(list []int, n int) []bool {
	if list == nil {
		return make([]bool, n)
	}
	out := make([]bool, len(list))
	for i, v := range list {
		out[i] = v != 0
	}
	return out
}

func evalScan(c *Call) ([]*tensor.Tensor, error) {
	if c.Opset < 9 {
		return evalBatchScan(c)
	}
	p, err := planScan(c.Node, len(c.In))
	if err != nil {
		return nil, err
	}
	if slices.Contains(c.In, nil) {
		return nil, invalidf("an operand is left out")
	}
	return p.run(c, c.In, -1)
}

// steps resolves the axes of the scanned inputs and returns the number of steps that they have.
func (p *scanPlan) steps(in []*tensor.Tensor) (axes []int, steps int, err error) {
	axes = make([]int, p.inputs)
	for k, x := range in[p.states:] {
		if axes[k], err = axisOf(p.inAxes[k], x.Rank()); err != nil {
			return nil, 0, err
		}
		n := x.Shape[axes[k]]
		if k > 0 && n != steps {
			return nil, 0, invalidf("scanned inputs have %d and %d steps", steps, n)
		}
		steps = n
	}
	return axes, steps, nil
}

// run iterates the body over the first limit steps of the scanned inputs, all of them if it is -1.
func (p *scanPlan) run(c *Call, in []*tensor.Tensor, limit int) ([]*tensor.Tensor, error) {
	axes, steps, err := p.steps(in)
	if err != nil {
		return nil, err
	}
	if limit >= 0 {
		steps = min(steps, limit)
	}
	states := slices.Clone(in[:p.states])
	scans := make([]collector, p.scanOuts)
	for i := range steps {
		args := slices.Clone(states)
		for k, x := range in[p.states:] {
			at := i
			if p.inBack[k] {
				at = steps - 1 - i
			}
			part, err := step(x, axes[k], at)
			if err != nil {
				return nil, err
			}
			args = append(args, part)
		}
		out, err := c.Run(p.body, args)
		if err != nil {
			return nil, err
		}
		states = out[:p.states:p.states]
		for k := range scans {
			if err := scans[k].add(out[p.states+k]); err != nil {
				return nil, err
			}
		}
	}
	for k := range scans {
		if p.outBack[k] {
			slices.Reverse(scans[k].list)
		}
		t, err := scans[k].stacked(p.body.Out[p.states+k].Type, p.outAxes[k])
		if err != nil {
			return nil, err
		}
		states = append(states, t)
	}
	return states, nil
}

// step returns x at one position of an axis, without that axis.
func step(x *tensor.Tensor, axis, at int) (*tensor.Tensor, error) {
	own := strides(x.Shape)
	shape, steps := slices.Delete(slices.Clone(x.Shape), axis, axis+1), slices.Delete(slices.Clone(own), axis, axis+1)
	return strided(x, shape, at*own[axis], steps)
}

// evalBatchScan is the Scan of opset 8: axis 0 of every operand counts batch entries, each of
// which is scanned on its own for as many steps as sequence_lens says; the scanned outputs are
// padded with zeros.
func evalBatchScan(c *Call) ([]*tensor.Tensor, error) {
	in := c.In[min(1, len(c.In)):]
	p, err := planScan(c.Node, len(in))
	if err != nil {
		return nil, err
	}
	lens, longest, err := batchLens(c, in, p.states)
	if err != nil {
		return nil, err
	}
	out := make([][]*tensor.Tensor, p.states+p.scanOuts)
	for b, n := range lens {
		args := make([]*tensor.Tensor, len(in))
		for k, x := range in {
			if args[k], err = step(x, 0, b); err != nil {
				return nil, err
			}
		}
		res, err := p.run(c, args, n)
		if err != nil {
			return nil, err
		}
		for k, t := range res {
			if k >= p.states && n < longest {
				if t, err = padSteps(t, longest); err != nil {
					return nil, err
				}
			}
			out[k] = append(out[k], t)
		}
	}
	list := make([]*tensor.Tensor, len(out))
	for k := range out {
		if list[k], err = stack(out[k], 0); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// batchLens returns the steps of every batch entry, and those of the longest possible one.
func batchLens(c *Call, in []*tensor.Tensor, states int) (lens []int, longest int, err error) {
	for k, x := range in {
		if x == nil || x.Rank() < 1 || k >= states && x.Rank() < 2 || x.Shape[0] != in[0].Shape[0] {
			return nil, 0, invalidf("operand %d has no axes for batch and steps, or another batch size", k)
		}
	}
	longest = in[states].Shape[1]
	if !c.Has(0) {
		return slices.Repeat([]int{longest}, in[0].Shape[0]), longest, nil
	}
	lens, err = indices(c.In[0])
	if err == nil && len(lens) != in[0].Shape[0] {
		err = invalidf("%d sequence lengths for a batch of %d", len(lens), in[0].Shape[0])
	}
	for _, n := range lens {
		if n < 0 || n > longest {
			err = invalidf("sequence length %d of %d steps", n, longest)
		}
	}
	return lens, longest, err
}

// padSteps extends axis 0 to n with zeros.
func padSteps(t *tensor.Tensor, n int) (*tensor.Tensor, error) {
	shape := slices.Clone(t.Shape)
	shape[0] = n
	dst, err := newCells(t.DType, shape)
	if err != nil {
		return nil, err
	}
	dst.copy(0, cellsOf(t), 0, t.Len())
	return dst.tensor(t.DType, shape), nil
}

func inferScan(c *Inference) ([]Fact, error) {
	if c.Opset < 9 {
		return nil, nil
	}
	p, err := planScan(c.Node, len(c.In))
	if err != nil {
		return nil, err
	}
	steps := graph.Unknown
	states := make([]graph.Type, p.states)
	for i := range states {
		states[i] = c.In[i].Type
	}
	tail := make([]Fact, p.inputs)
	for k := range tail {
		x := c.In[p.states+k].Type
		tail[k].Type = graph.Unranked(x.DType)
		if !x.Ranked {
			continue
		}
		axis, err := axisOf(p.inAxes[k], len(x.Shape))
		if err != nil {
			return nil, err
		}
		if d := x.Shape[axis]; !steps.IsKnown() {
			steps = d
		}
		tail[k].Type = graph.OfDims(x.DType, slices.Delete(slices.Clone(x.Shape), axis, axis+1))
	}
	out, states, err := inferIterated(c, nil, states, tail, 0)
	if err != nil {
		return nil, err
	}
	facts := Typed(states...)
	for k, f := range out[p.states:] {
		facts = append(facts, Fact{Type: stackedType(f.Type, p.outAxes[k], steps)})
	}
	return facts, nil
}
