package op

import (
	"math"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A collector gathers the values that a loop's body yields for one output.
type collector struct {
	list  []*tensor.Tensor
	bytes int
}

func (s *collector) add(t *tensor.Tensor) error {
	if t.Kind != tensor.Dense {
		return invalidf("%s cannot be stacked", t)
	}
	s.list = append(s.list, t)
	if s.bytes += t.Bytes() + 64; s.bytes > sizeLimit {
		return fault.Limitf("", "the values of a loop take more than %d bytes", sizeLimit)
	}
	return nil
}

// stacked returns the values along a new axis; of none, an empty tensor of the declared type,
// in which dimensions that are not known are 0.
func (s *collector) stacked(t graph.Type, axis int) (*tensor.Tensor, error) {
	if len(s.list) > 0 {
		return stack(s.list, axis)
	}
	shape := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		shape[i] = max(0, d.Size)
	}
	shape, err := unsqueeze(shape, []int{axis}, 0)
	if err != nil {
		return nil, err
	}
	if !t.IsTensor() || !t.DType.Valid() {
		return nil, invalidf("an output that no iteration yields has no declared type")
	}
	return newChecked(t.DType, shape...)
}

func evalLoop(c *Call) ([]*tensor.Tensor, error) {
	body := c.Graph("body")
	trips, cond, err := loopBounds(c)
	if err != nil {
		return nil, err
	}
	carried := slices.Clone(c.In[min(2, len(c.In)):])
	n := len(carried)
	if len(body.In) != 2+n || len(body.Out) < 1+n || slices.Contains(carried, nil) {
		return nil, invalidf("a body of %d inputs and %d outputs for %d carried values", len(body.In), len(body.Out), n)
	}
	scans := make([]collector, len(body.Out)-1-n)
	for i := int64(0); i < trips && cond; i++ {
		args := append([]*tensor.Tensor{tensor.Int64s([]int64{i}), tensor.Wrap(tensor.Bool, []bool{cond})}, carried...)
		out, err := c.Run(body, args)
		if err != nil {
			return nil, err
		}
		if c.Has(1) {
			if cond, err = truth(out[0]); err != nil {
				return nil, err
			}
		}
		carried = out[1 : 1+n : 1+n]
		for k := range scans {
			if err := scans[k].add(out[1+n+k]); err != nil {
				return nil, err
			}
		}
	}
	for k := range scans {
		t, err := scans[k].stacked(body.Out[1+n+k].Type, 0)
		if err != nil {
			return nil, err
		}
		carried = append(carried, t)
	}
	return carried, nil
}

// loopBounds reads the trip count (unbounded where it is absent) and the first condition.
func loopBounds(c *Call) (trips int64, cond bool, err error) {
	trips, cond = math.MaxInt64, true
	if c.Has(0) {
		m, err := ints(c.In[0])
		if err != nil {
			return 0, false, err
		}
		if len(m) != 1 {
			return 0, false, invalidf("the trip count has %d elements, not 1", len(m))
		}
		trips = m[0]
	}
	if c.Has(1) {
		cond, err = truth(c.In[1])
	}
	return trips, cond, err
}

func inferLoop(c *Inference) ([]Fact, error) {
	body := c.Graph("body")
	n := max(0, len(c.In)-2)
	if len(body.In) != 2+n || len(body.Out) < 1+n {
		return nil, invalidf("a body of %d inputs and %d outputs for %d carried values", len(body.In), len(body.Out), n)
	}
	var states []graph.Type
	for _, f := range c.In[min(2, len(c.In)):] {
		states = append(states, f.Type)
	}
	head := Typed(graph.Of(tensor.Int64), graph.Of(tensor.Bool))
	out, states, err := inferIterated(c, head, states, nil, 1)
	if err != nil {
		return nil, err
	}
	trips := graph.Unknown
	if always := !c.Has(1) || isTrue(c.Input(1)) && isTrue(out[0]); c.Has(0) && always {
		if m, ok := elemsOf(c.Input(0)); ok && len(m) == 1 {
			trips = m[0]
		}
	}
	facts := Typed(states...)
	for _, f := range out[1+n:] {
		facts = append(facts, Fact{Type: stackedType(f.Type, 0, trips)})
	}
	return facts, nil
}

func isTrue(f Fact) bool {
	if f.Value == nil {
		return false
	}
	v, err := truth(f.Value)
	return err == nil && v
}

// stackedType is the type of n values of type t along a new axis.
func stackedType(t graph.Type, axis int, n graph.Dim) graph.Type {
	if !t.Ranked {
		return graph.Unranked(t.DType)
	}
	dims, err := unsqueeze(t.Shape, []int{axis}, n)
	if err != nil {
		return graph.Unranked(t.DType)
	}
	return graph.OfDims(t.DType, dims)
}

// inferIterated infers a body whose states, which follow head among its inputs, come back
// behind the first skip outputs. It widens the states until another iteration changes nothing,
// and returns the body's outputs and the states' types.
func inferIterated(c *Inference, head []Fact, states []graph.Type, tail []Fact, skip int) ([]Fact, []graph.Type, error) {
	for range 2 + 4*len(states) {
		out, err := c.Sub(c.Graph("body"), slices.Concat(head, Typed(states...), tail))
		if err != nil {
			return nil, nil, err
		}
		stable := true
		states = slices.Clone(states)
		for i, s := range states {
			if w := widen(s, out[skip+i].Type); w.String() != s.String() {
				states[i], stable = w, false
			}
		}
		if stable {
			return out, states, nil
		}
	}
	for i, s := range states {
		states[i] = graph.Type{Kind: s.Kind, DType: s.DType, Elem: s.Elem}
	}
	out, err := c.Sub(c.Graph("body"), slices.Concat(head, Typed(states...), tail))
	return out, states, err
}

// widen joins two types of one state; what is open in a stays open.
func widen(a, b graph.Type) graph.Type {
	if a.Kind == graph.NoType || b.Kind == graph.NoType {
		return graph.Type{}
	}
	return graph.Join(a, b)
}
