package repair

import (
	"cmp"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A shuffle puts elements elsewhere.
type shuffle struct {
	from, to int
	at       []int32 // by element of the result: of which element it is, -1: zero
}

func (s *shuffle) forward(l *lane) {
	n := l.t.cells[s.from].len()
	for i := range l.n {
		x, y := l.x[s.from][i*n:][:n], l.x[s.to][i*len(s.at):][:len(s.at)]
		for k, at := range s.at {
			if y[k] = 0; at >= 0 {
				y[k] = x[at]
			}
		}
	}
}

func (s *shuffle) backward(l *lane) {
	n := l.t.cells[s.from].len()
	for i := range l.n {
		dx, dy := l.d[s.from][i*n:][:n], l.d[s.to][i*len(s.at):][:len(s.at)]
		for k, at := range s.at {
			if at >= 0 {
				dx[at] += dy[k]
			}
		}
	}
}

// mostNumbered is up to which number float32 counts.
const mostNumbered = 1 << 24

// putMove puts an operator that moves elements and changes none. Where each comes from is what the
// operator makes of their numbers; two ways of numbering tell those that choose by size.
func putMove(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	if !ok || b.facts == nil || len(n.Out) == 0 || c.len() >= mostNumbered {
		return false
	}
	in, ok := b.facts[n.In[0]].Static()
	if !ok || tensor.Elements(in) != c.len() {
		return false
	}
	up, down := make([]float32, c.len()), make([]float32, c.len())
	for i := range up {
		up[i], down[i] = float32(i+1), float32(c.len()-i)
	}
	first, second := b.moved(n, in, up), b.moved(n, in, down)
	if first == nil || second == nil {
		return false
	}
	put := false
	for k, name := range n.Out {
		if name == "" {
			continue
		}
		out, ok := b.cell(first[name].Shape)
		if !ok || first[name].DType != tensor.Float32 {
			return false
		}
		x, y := tensor.Of[float32](first[name]), tensor.Of[float32](second[name])
		s := &shuffle{from: from, at: make([]int32, len(x))}
		for i, v := range x {
			if v != 0 && v+y[i] != float32(c.len()+1) || v == 0 && y[i] != 0 {
				return false
			}
			s.at[out.place(i)] = -1
			if v != 0 {
				s.at[out.place(i)] = int32(c.place(int(v) - 1))
			}
		}
		put = b.put(n.Out[k], out, func(to int) step { s.to = to; return s })
		if !put {
			return false
		}
	}
	return put
}

// cell is that of a tensor. One that is neither images nor rows is taken as rows: what computes with channels
// does not take it.
func (b *taper) cell(shape []int) (cell, bool) {
	if c, ok := cellFor(shape, b.spatial); ok {
		return c, true
	}
	return cellFor(shape, false)
}

// place is where element i of a tensor lies in its cell.
func (c cell) place(i int) int {
	if c.last {
		return i
	}
	return i%c.pixels()*c.c + i/c.pixels()
}

// moved runs an operator by its definition, its first operand holding x.
func (b *taper) moved(n *graph.Node, shape []int, x []float32) map[string]*tensor.Tensor {
	g := &graph.Graph{In: []*graph.Value{{Name: n.In[0], Type: graph.Of(tensor.Float32, shape...)}}, Nodes: []*graph.Node{n}}
	for _, name := range n.In[1:] {
		t := cmp.Or(b.g.ConstTensor(name), b.facts[name].Value) // a shape that others compute is as good as a constant
		if name != "" && t == nil {
			return nil
		}
		if t != nil {
			g.SetConst(name, t)
		}
	}
	var names []string
	for _, name := range n.Out {
		if name != "" {
			names = append(names, name)
		}
	}
	out, err := op.Run(&graph.Model{Opsets: b.opsets, Graph: g}, map[string]*tensor.Tensor{n.In[0]: tensor.Float32s(x, shape...)}, op.Options{Outputs: names})
	if err != nil {
		return nil
	}
	return out
}

// putReshaped puts an operator that keeps the order of elements, whatever says its shape.
func putReshaped(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	if !ok || b.facts == nil {
		return false
	}
	shape, ok := b.facts[n.Out[0]].Static()
	if !ok || tensor.Elements(shape) != c.len() {
		return false
	}
	out, ok := b.cell(shape)
	if !ok {
		return false
	}
	s := &shuffle{from: from, at: make([]int32, c.len())}
	for i := range s.at {
		s.at[out.place(i)] = int32(c.place(i))
	}
	return b.put(n.Out[0], out, func(to int) step { s.to = to; return s })
}
