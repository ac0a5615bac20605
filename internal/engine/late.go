package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// late lists the kinds of node that are worth compiling in the middle of a run, where their shapes depend on what has been
// computed, as those behind the boxes that a detector found.
var late = map[string]bool{
	"Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true, "Einsum": true, "RoiAlign": true, "GridSample": true,
	"QLinearConv": true, "com.microsoft.QLinearConv": true, "QLinearMatMul": true, "com.microsoft.QGemm": true, "ConvInteger": true, "MatMulInteger": true,
}

// mostNesting is how deep compilations in the run stand in each other: beyond, what is left runs by definition, so that
// a network of many shapes, each found by the one before, is not compiled over and over.
const mostNesting = 16

// rewritten lists kinds of node that passes turn into ones with lowerings.
var rewritten = map[string]bool{"LeakyRelu": true, "Pow": true, "LayerNormalization": true, "Einsum": true}

// followsLate says whether a node may be compiled with such ones. Where all its operands are known it is what makes shapes
// unknown: it stays outside, and so each compilation in the run has fewer nodes than the one around it.
func followsLate(n *node) bool {
	_, function := functions[n.kind]
	_, coded := qoperators[n.kind]
	if controls[n.kind] || !late[n.kind] && !function && !coded && !rewritten[n.kind] && lowerings[n.kind] == nil {
		return false
	}
	return slices.ContainsFunc(n.in, func(v *value) bool { return v != nil && !v.known })
}

// gatherLate makes one node of each run of nodes whose shapes are known only in the run and of which some are worth
// compiling there.
func gatherLate(g *net) {
	if g.nesting == mostNesting {
		return
	}
	for i := 0; i < len(g.nodes); i++ {
		if !followsLate(g.nodes[i]) {
			continue
		}
		members, last := g.lateRun(i)
		if !slices.ContainsFunc(members, func(n *node) bool { return late[n.kind] }) {
			i = last
			continue
		}
		n := g.joinLate(members)
		g.nodes = slices.Insert(g.nodes, last+1, n)
		for _, m := range members {
			m.out = nil
			g.kill(m)
		}
		i = last + 1
	}
	g.nodes = slices.DeleteFunc(g.nodes, func(n *node) bool { return n.dead })
	g.sweep()
}

// lateRun gives the nodes from number i on that are compiled together, and the number of the last. Nodes of known shapes
// between them stay where they are.
func (g *net) lateRun(i int) (members []*node, last int) {
	made := map[*value]bool{}
	for last = i; i < len(g.nodes); i++ {
		n := g.nodes[i]
		switch {
		case followsLate(n):
			members, last = append(members, n), i
			for _, v := range n.out {
				made[v] = true
			}
		case !n.static() || slices.ContainsFunc(n.in, func(v *value) bool { return v != nil && made[v] }):
			return members, last
		}
	}
	return members, last
}

// A lateGraph is what a "late" node computes: a graph that reads operands, of which each is a formal input.
type lateGraph struct {
	graph *graph.Graph
	in    []*graph.Value
}

// joinLate returns the node that stands for some others.
func (g *net) joinLate(members []*node) *node {
	l := &lateGraph{graph: &graph.Graph{}}
	seen := map[*value]bool{}
	var in, out []*value
	var read func(name string, v *value)
	read = func(name string, v *value) {
		switch {
		case v == nil || seen[v]:
			return
		case v.konst != nil:
			l.graph.SetConst(name, v.konst)
		case decodes(v):
			for i, u := range v.def.in {
				read(v.def.names[i], u)
			}
			l.graph.Nodes = append(l.graph.Nodes, v.def.onnx)
		default:
			in, l.in = append(in, v), append(l.in, &graph.Value{Name: name, Type: v.typ})
		}
		seen[v] = true
	}
	for _, n := range members {
		for i, v := range n.in {
			read(n.names[i], v)
		}
		l.graph.Nodes = append(l.graph.Nodes, n.onnx)
		for _, v := range n.out {
			seen[v] = true
		}
	}
	for _, n := range members {
		for i, v := range n.out {
			if v != nil && (v.pinned || slices.ContainsFunc(v.uses, func(u *node) bool { return !slices.Contains(members, u) })) {
				l.graph.Out, out = append(l.graph.Out, &graph.Value{Name: n.onnx.Out[i]}), append(out, v)
			}
		}
	}
	l.graph.In = l.in
	first := members[slices.IndexFunc(members, func(n *node) bool { return late[n.kind] })]
	return newNode("late", first, l, in, out)
}

// decodes says whether v is a constant read back from codes, which is worth having where it is multiplied.
func decodes(v *value) bool {
	return v.def != nil && v.def.kind == "DequantizeLinear" && v.def.static() && !slices.ContainsFunc(v.def.in, func(u *value) bool { return u != nil && u.konst == nil })
}

// lowerLate emits what is compiled for the shapes that its operands turn out to have. Weights are packed once.
func lowerLate(lw *lowerer, n *node) bool {
	l := n.spec.(*lateGraph)
	st := &step{node: n, kernel: "compiled in the run"}
	var from []*slot
	for _, v := range n.in {
		from = append(from, lw.use(v, rowMajor))
	}
	b := &body{formal: l.in, out: valueNames(l.graph.Out)}
	m := &graph.Model{IR: lw.net.model.IR, Opsets: lw.net.model.Opsets, Functions: lw.net.model.Functions, Graph: l.graph}
	b.session = &Session{model: m, opt: Options{Threads: lw.threads, Seed: lw.seed, MaxMemory: lw.memory}, level: lw.level, nesting: lw.net.nesting + 1}
	st.in = from
	lw.heapOut(n, st)
	st.run = func(f *frame, _ int) error {
		args := make([]*tensor.Tensor, len(from))
		for i, s := range from {
			args[i] = f.vals[s.id]
		}
		res, err := b.run(f, args)
		if err != nil {
			return err
		}
		for i, s := range st.out {
			if v := n.out[i]; v.known && !sameShape(res[i].Shape, v.shape) {
				return errDeclared
			}
			f.bind(s, res[i])
		}
		return nil
	}
	lw.emit(st)
	return true
}
