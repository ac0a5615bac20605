package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Columns returns the input of a product of rows with a constant matrix, false for other nodes.
func Columns(g *graph.Graph, n *graph.Node) (in string, ok bool) {
	if _, ok := multiplies(n); !ok {
		return "", false
	}
	w := floatConst(g, n.In[1])
	if w == nil || w.Rank() != 2 || g.Const(n.In[0]) != nil {
		return "", false
	}
	return n.In[0], true
}

// SplitColumns turns each product of x with a matrix into the sum of two: over the columns of x that
// pick names, and over all others. It returns the names of the nodes that multiply the picked ones, and
// how many each multiplies.
func SplitColumns(m *graph.Model, pick func(in string) []int) map[string]int {
	used := namesOf(m)
	split := map[string]int{}
	var list []*graph.Node
	for _, n := range m.Graph.Nodes {
		in, ok := Columns(m.Graph, n)
		if ok {
			which := pick(in)
			if total := columnsOf(m.Graph, n); len(which) > 0 && len(which) < total {
				nodes, name := splitProduct(m.Graph, used, n, which, total)
				list = append(list, nodes...)
				split[name] = len(which)
				continue
			}
		}
		list = append(list, n)
	}
	m.Graph.Nodes = list
	return split
}

// columnsOf is how many columns the input of product n has.
func columnsOf(g *graph.Graph, n *graph.Node) int {
	return g.ConstTensor(n.In[1]).Shape[n.Int("transB", 0)]
}

// splitProduct writes y = x·W (+ b) as x[rest]·W[rest] (+ b) + x[which]·W[which].
func splitProduct(g *graph.Graph, used names, n *graph.Node, which []int, total int) (nodes []*graph.Node, name string) {
	var rest []int
	for c := range total {
		if !slices.Contains(which, c) {
			rest = append(rest, c)
		}
	}
	x, y, w := n.In[0], n.Out[0], g.ConstTensor(n.In[1])
	part := func(what string, columns []int) (*graph.Node, *graph.Node) {
		index, own, weight := used.added(y+"_"+what+"_columns"), used.added(x+"_"+what), used.added(n.In[1]+"_"+what)
		wide := make([]int64, len(columns))
		for i, c := range columns {
			wide[i] = int64(c)
		}
		g.SetConst(index, tensor.Int64s(wide, len(wide)))
		g.SetConst(weight, pickRows(w, columns, n.Int("transB", 0)))
		gather := &graph.Node{Op: "Gather", Name: used.added(y + "_Gather_" + what), In: []string{x, index}, Out: []string{own}}
		gather.SetAttr("axis", int64(-1))
		product := cloneNode(n)
		product.In[0], product.In[1] = own, weight
		product.Out = []string{used.added(y + "_" + what)}
		return gather, product
	}
	pickOut, out := part("outliers", which)
	out.Name = used.added(out.Name + "_outliers")
	out.In = out.In[:2] // the bias is added once
	pickRest, inner := part("rest", rest)
	add := &graph.Node{Op: "Add", Name: used.added(y + "_Outliers"), In: []string{inner.Out[0], out.Out[0]}, Out: []string{y}}
	return []*graph.Node{pickOut, out, pickRest, inner, add}, out.Name
}

// pickRows returns the rows of a matrix (K,N), or its columns where it is (N,K), that which names.
func pickRows(w *tensor.Tensor, which []int, transposed int) *tensor.Tensor {
	x, rows, cols := tensor.Of[float32](w), w.Shape[0], w.Shape[1]
	var y []float32
	if transposed == 0 {
		for _, r := range which {
			y = append(y, x[r*cols:(r+1)*cols]...)
		}
		return tensor.Float32s(y, len(which), cols)
	}
	for r := range rows {
		for _, c := range which {
			y = append(y, x[r*cols+c])
		}
	}
	return tensor.Float32s(y, rows, len(which))
}
