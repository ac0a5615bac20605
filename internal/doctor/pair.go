package doctor

import (
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// pair finds the counterparts of the quantized network's nodes in the float one: by their names,
// or those of their results, where tools keep them, else as the longest sequence of like operators
// between those found.
func (n *net) pair() {
	n.twin = map[*graph.Node]*graph.Node{}
	ours, theirs := n.plain(n.m.Graph), n.plain(n.float.Graph)
	byName := map[string]*graph.Node{}
	for _, f := range theirs {
		for _, name := range []string{f.Name, f.Out[0]} {
			if name != "" {
				byName[name] = f
			}
		}
	}
	taken := map[*graph.Node]bool{}
	for _, q := range ours {
		codes := strings.TrimSuffix(q.Out[0], "_float") // where it was spread from an operator on codes
		for _, name := range []string{q.Name, nameOf(q), q.Out[0], codes, strings.TrimSuffix(codes, "_quantized"), strings.TrimSuffix(q.Out[0], "_scaled")} {
			if f := n.beforeClamps(q, byName[name]); f != nil && sameOp(q, f) && !taken[f] {
				n.twin[q], taken[f] = f, true
				break
			}
		}
	}
	n.between(ours, theirs)
	for _, u := range n.nodes {
		if f := n.twin[u.node]; f != nil && f.Name != "" {
			u.name = f.Name
		}
	}
}

// beforeClamps is the node in front of clamps, where one that makes codes, whose saturation does their work, has the name of their
// result; f itself where it is no clamp, or the node is one.
func (n *net) beforeClamps(q, f *graph.Node) *graph.Node {
	for f != nil && isClamp(f) && !isClamp(q) {
		f = n.fx.Producer(f.In[0])
	}
	return f
}

// sameOp says whether two nodes compute alike: dynamic quantization writes Gemm as MatMul and Add, and ONNX Runtime's
// optimizer these as Gemm, and static quantization some Adds of two products as Sum.
func sameOp(q, f *graph.Node) bool {
	return q.Op == f.Op || q.Op == "Sum" && f.Op == "Add" && len(q.In) == 2 || q.Op == "MatMul" && f.Op == "Gemm" || q.Op == "Gemm" && f.Op == "MatMul"
}

// plain lists the nodes of a graph that neither make codes nor read them.
func (n *net) plain(g *graph.Graph) []*graph.Node {
	var list []*graph.Node
	for _, node := range g.Nodes {
		if !pass.IsQuantized(node) && len(node.Out) > 0 {
			list = append(list, node)
		}
	}
	return list
}

// between pairs what names do not, within the gaps that those found leave.
func (n *net) between(ours, theirs []*graph.Node) {
	place := map[*graph.Node]int{}
	for i, f := range theirs {
		place[f] = i
	}
	from, at := 0, 0
	for i := 0; i <= len(ours); i++ {
		end := len(theirs)
		if i < len(ours) {
			f := n.twin[ours[i]]
			if f == nil || place[f] < at {
				continue
			}
			end = place[f]
		}
		n.sequence(ours[from:i], theirs[at:end])
		from, at = i+1, end+1
	}
}

// sequenceMost bounds the table of a gap.
const sequenceMost = 1 << 24

// sequence pairs two lists of nodes by their longest common subsequence of like ones.
func (n *net) sequence(ours, theirs []*graph.Node) {
	if len(ours) == 0 || len(theirs) == 0 || len(ours)*len(theirs) > sequenceMost {
		return
	}
	best := make([][]int32, len(ours)+1)
	for i := range best {
		best[i] = make([]int32, len(theirs)+1)
	}
	for i := len(ours) - 1; i >= 0; i-- {
		for k := len(theirs) - 1; k >= 0; k-- {
			best[i][k] = max(best[i+1][k], best[i][k+1])
			if n.alike(ours[i], theirs[k]) {
				best[i][k] = max(best[i][k], best[i+1][k+1]+1)
			}
		}
	}
	for i, k := 0, 0; i < len(ours) && k < len(theirs); {
		switch {
		case n.alike(ours[i], theirs[k]) && best[i][k] == best[i+1][k+1]+1:
			n.twin[ours[i]] = theirs[k]
			i, k = i+1, k+1
		case best[i+1][k] >= best[i][k+1]:
			i++
		default:
			k++
		}
	}
}

// alike says whether two nodes may be the same one: their operators and the shapes of their weights agree.
func (n *net) alike(q, f *graph.Node) bool {
	if !sameOp(q, f) || n.twin[q] != nil {
		return false
	}
	a, b := n.weightShape(q), constShape(n.float.Graph, f)
	if q.Op != f.Op && len(b) == 2 && f.Int("transB", 0) != 0 {
		b = []int{b[1], b[0]}
	}
	return a == nil || b == nil || slices.Equal(a, b)
}

func (n *net) weightShape(q *graph.Node) []int {
	for _, u := range n.nodes {
		if u.node == q && u.weights != nil {
			return u.weights.coded.Shape
		}
	}
	return constShape(n.m.Graph, q)
}

// constShape is the shape of the constant weight of a node, nil where it has none.
func constShape(g *graph.Graph, node *graph.Node) []int {
	o := op.Lookup(node.Domain, node.Op)
	if o == nil {
		return nil
	}
	for i, name := range node.In {
		if t := g.ConstTensor(name); t != nil && o.Quant.Role(i) == op.Weight {
			return t.Shape
		}
	}
	return nil
}

// operandOf is the operand at which a unit reads a site.
func operandOf(u *unit, s *site) int {
	for _, r := range s.reads {
		if r.unit == u {
			return r.in
		}
	}
	return -1
}

// suffixes that tools give to the names of codes.
var suffixes = []string{"_quantized", "_q", "_DequantizeLinear_Output", "_dq"}

// floatOf finds a constant's float numbers: at the node's counterpart, or under its own name.
func (n *net) floatOf(s *site, f *graph.Node, i int) *tensor.Tensor {
	var list []*tensor.Tensor
	if f != nil && i >= 0 && i < len(f.In) {
		t := n.float.Graph.ConstTensor(f.In[i])
		if t != nil && f.Op == "Gemm" && s.coded != nil && s.unitOp() == "MatMul" && f.Int("transB", 0) != 0 && t.Rank() == 2 {
			t = transposed(t)
		}
		list = append(list, t)
	}
	for _, suffix := range suffixes {
		if base, ok := strings.CutSuffix(s.name, suffix); ok {
			list = append(list, n.raw.Graph.ConstTensor(base))
		}
	}
	want, size := []int(nil), 0
	var coded []float32
	if s.coded != nil {
		want = s.coded.Shape
		coded = tensor.Of[float32](s.coded.Decode())
	} else {
		size = s.codes.Len()
	}
	var best *tensor.Tensor
	least := 0.0
	for _, t := range list {
		if t == nil || t.DType != tensor.Float32 || want != nil && !slices.Equal(t.Shape, want) || want == nil && t.Len() != size {
			continue
		}
		d := 0.0
		if coded != nil {
			d = squaredDistance(tensor.Of[float32](t), coded)
		}
		if best == nil || d < least {
			best, least = t, d
		}
	}
	return best
}

// unitOp is the operator that reads a constant.
func (s *site) unitOp() string { return s.reads[0].unit.node.Op }

// transposed returns a matrix (K,N) as (N,K).
func transposed(t *tensor.Tensor) *tensor.Tensor {
	if t.DType != tensor.Float32 {
		return t
	}
	rows, cols := t.Shape[0], t.Shape[1]
	y := make([]float32, rows*cols)
	for i, v := range tensor.Of[float32](t) {
		y[i%cols*rows+i/cols] = v
	}
	return tensor.Float32s(y, cols, rows)
}

func squaredDistance(x, y []float32) (sum float64) {
	for i, v := range x {
		d := float64(v) - float64(y[i])
		sum += float64(d * d)
	}
	return sum
}

// lostClamps lists the clamps behind a float node that the quantized network lacks: the saturation of
// the codes does their work.
func (n *net) lostClamps(u *unit, f *graph.Node) []*graph.Node {
	x := n.fx
	var list []*graph.Node
	from := f.Out[0]
	if sum := x.OnlyUse(from); u.node.Op == "Gemm" && f.Op == "MatMul" && sum != nil && sum.Op == "Add" && !n.hasTwin(sum) {
		from = sum.Out[0] // whose bias the unit has
	}
	for name := from; ; {
		c := x.OnlyUse(name)
		if c == nil || !isClamp(c) || n.hasTwin(c) {
			return list
		}
		list = append(list, c)
		name = c.Out[0]
	}
}

func isClamp(node *graph.Node) bool {
	o := op.Lookup(node.Domain, node.Op)
	return o != nil && o.Quant.Clamp
}

// hasTwin says whether a float node has a counterpart.
func (n *net) hasTwin(f *graph.Node) bool {
	for _, t := range n.twin {
		if t == f {
			return true
		}
	}
	return false
}

// unclip takes a Clip in front of a site as part of it, where the float network has none there: it
// confines values to codes of fewer than eight bits.
func (n *net) unclip(s *site) {
	c := n.x.Producer(s.from)
	if c == nil || c.Op != "Clip" || n.twin[c] != nil || n.x.OnlyUse(s.from) != s.q {
		return
	}
	s.from, s.name = c.In[0], c.In[0]
	for _, g := range format4 {
		lo, hi := g.Range(s.params)
		if boundOf(n.m.Graph, c, 1) == lo && boundOf(n.m.Graph, c, 2) == hi {
			s.format = g
		}
	}
	for _, u := range n.nodes {
		if len(u.node.Out) > 0 && u.node.Out[0] == s.from {
			u.out = s
		}
	}
}

// boundOf is a bound of a Clip; 0 where it is not constant.
func boundOf(g *graph.Graph, c *graph.Node, i int) float32 {
	if i >= len(c.In) {
		return 0
	}
	if t := g.ConstTensor(c.In[i]); t != nil && t.DType == tensor.Float32 && t.Len() == 1 {
		return tensor.Of[float32](t)[0]
	}
	return 0
}

func (u *unit) String() string { return fmt.Sprintf("%s %q", u.node.Op, u.name) }
