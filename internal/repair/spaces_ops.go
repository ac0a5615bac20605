package repair

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// turns says for each operator how an orthogonal matrix along the last axis passes it.
var turns map[string]func(s *spaces, n *graph.Node) bool

func init() {
	turns = map[string]func(s *spaces, n *graph.Node) bool{
		"MatMul": turnProduct, "Gemm": turnProduct, "Gather": turnGather,
		"Add": turnSum, "Sub": turnSum, "Mul": turnScale, "Div": turnScale, "Pow": turnSquare,
		"ReduceMean": turnMean, "LayerNormalization": turnNorm, "RMSNormalization": turnNorm,
		"Reshape": turnBlocks, "Unsqueeze": turnBlocks, "Squeeze": turnBlocks, "Flatten": turnBlocks, "Identity": turnBlocks,
		"Expand": turnExpand, "Transpose": turnTranspose,
	}
}

// turnProduct is for constant matrices, and for values that mix the rows of another: P·V passes what turns V.
func turnProduct(s *spaces, n *graph.Node) bool {
	c, ok := s.product(n)
	if !ok {
		if n.Op != "MatMul" || s.constant(n.In[1]) != nil || len(s.facts[n.In[1]].Shape) < 2 || s.width(n.Out[0]) != s.width(n.In[1]) {
			return false
		}
		s.fix(n.In[0])
		return s.join(n.In[1], n.Out[0])
	}
	if !s.corner(n.In[0], c) {
		s.fix(n.In[0])
	}
	out := corner{node: n, in: 1, axis: 1 - c.axis, writes: true}
	if !s.corner(n.Out[0], out) || len(n.In) > 2 && n.In[2] != "" && !s.addend(n, 2) {
		s.fix(n.Out[0])
	}
	return true
}

// addend makes a constant that is added turn with the result.
func (s *spaces) addend(n *graph.Node, in int) bool {
	t := s.constant(n.In[in])
	return t != nil && t.Rank() > 0 && s.corner(n.Out[0], corner{node: n, in: in, axis: t.Rank() - 1})
}

// turnGather is for rows of a table, constant or not.
func turnGather(s *spaces, n *graph.Node) bool {
	t := s.constant(n.In[0])
	if t == nil || t.Rank() != 2 || n.Int("axis", 0) != 0 {
		return false
	}
	return s.corner(n.Out[0], corner{node: n, in: 0, axis: 1, writes: true})
}

// turnSum adds values of one space, constants that turn with them, and numbers that are the same along a row:
// these a matrix passes that keeps the mean.
func turnSum(s *spaces, n *graph.Node) bool {
	width := s.width(n.Out[0])
	if width < 1 {
		return false
	}
	for i, name := range n.In {
		t := s.constant(name)
		switch {
		case t != nil && (t.Rank() == 0 || t.Shape[t.Rank()-1] == 1):
			s.of(n.Out[0]).steady = true
		case t != nil:
			if !s.addend(n, i) {
				return false
			}
		case s.width(name) == 1 && width > 1:
			s.of(n.Out[0]).steady = true
			s.fix(name)
		case s.width(name) != width || !s.join(name, n.Out[0]):
			return false
		}
	}
	return true
}

// turnScale multiplies or divides rows by numbers, and channels by constants, which have to go elsewhere.
func turnScale(s *spaces, n *graph.Node) bool {
	if n.Op == "Mul" && n.In[0] == n.In[1] {
		return turnSquare(s, n)
	}
	width := s.width(n.Out[0])
	for i, name := range n.In {
		other := n.In[1-i]
		if i == 1 && n.Op == "Div" || s.constant(name) != nil || s.width(name) != width || width < 2 {
			continue
		}
		t := s.constant(other)
		if t != nil && t.Rank() > 0 && t.Len() == width && t.Shape[t.Rank()-1] == width && n.Op == "Mul" {
			if !s.join(name, n.Out[0]) {
				return false
			}
			sp := s.of(name)
			sp.gains = append(sp.gains, gain{node: n, in: 1 - i, drop: t.Rank() == 1})
			return t.Rank() == 1
		}
		if t != nil && (t.Rank() == 0 || t.Shape[t.Rank()-1] == 1) {
			return s.join(name, n.Out[0])
		}
		if t == nil && s.width(other) == 1 {
			s.fix(other)
			return s.join(name, n.Out[0])
		}
	}
	return false
}

// turnSquare is for squares that are summed over a row, which no orthogonal matrix changes.
func turnSquare(s *spaces, n *graph.Node) bool {
	two := s.constant(n.In[1])
	if n.Op == "Pow" && (two == nil || two.Len() != 1 || tensor.Of[float32](two)[0] != 2) || s.x.IsOutput(n.Out[0]) {
		return false
	}
	for _, u := range s.x.Uses(n.Out[0]) {
		if u.Node.Op != "ReduceMean" && u.Node.Op != "ReduceSum" || u.In != 0 || !s.overRows(u.Node) {
			return false
		}
	}
	s.of(n.In[0])
	s.fix(n.Out[0])
	return true
}

// turnMean is for the mean of a row, which some matrices keep.
func turnMean(s *spaces, n *graph.Node) bool {
	sp := s.of(n.In[0])
	if sp == nil || !s.overRows(n) {
		return false
	}
	sp.steady = true
	s.fix(n.Out[0])
	return true
}

// overRows says whether a node reduces the last axis alone, and keeps it.
func (s *spaces) overRows(n *graph.Node) bool {
	axes := n.Ints("axes")
	if len(n.In) > 1 && n.In[1] != "" {
		t := s.g.ConstTensor(n.In[1])
		if t == nil || t.DType != tensor.Int64 || t.Len() != 1 {
			return false
		}
		axes = []int{int(tensor.Of[int64](t)[0])}
	}
	return len(axes) == 1 && n.Int("keepdims", 1) == 1 && (axes[0] == -1 || axes[0] == len(s.facts[n.In[0]].Shape)-1)
}

// turnNorm is for normalizations of a row: that of its deviation from the mean passes a matrix that keeps the mean.
func turnNorm(s *spaces, n *graph.Node) bool {
	rank := len(s.facts[n.In[0]].Shape)
	axis := n.Int("axis", -1)
	if axis != -1 && axis != rank-1 || len(n.Out) > 1 || s.constant(n.In[1]) == nil || !s.join(n.In[0], n.Out[0]) {
		return false
	}
	g := gain{node: n, in: 1}
	if len(n.In) > 2 && n.In[2] != "" {
		if g.bias = 2; !s.addend(n, 2) {
			return false
		}
	}
	sp := s.of(n.In[0])
	sp.steady = sp.steady || n.Op == "LayerNormalization"
	sp.gains = append(sp.gains, g)
	return true
}

// turnBlocks is for operators that keep the order of the elements.
func turnBlocks(s *spaces, n *graph.Node) bool { return s.join(n.In[0], n.Out[0]) }

func turnExpand(s *spaces, n *graph.Node) bool {
	return s.width(n.In[0]) == s.width(n.Out[0]) && s.join(n.In[0], n.Out[0])
}

func turnTranspose(s *spaces, n *graph.Node) bool {
	perm := n.Ints("perm")
	return len(perm) > 0 && perm[len(perm)-1] == len(perm)-1 && s.join(n.In[0], n.Out[0])
}
