package engine

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// late lists the kinds of node that are worth compiling in the middle of a run, where their shapes depend on what has been
// computed, as those behind the boxes that a detector found.
var late = map[string]bool{
	"Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true,
	"QLinearConv": true, "QLinearMatMul": true, "com.microsoft.QGemm": true, "ConvInteger": true, "MatMulInteger": true,
}

// lowerLate emits a node that is compiled for the shapes that its operands turn out to have. Its weights are packed once.
func lowerLate(lw *lowerer, n *node) {
	st := &step{node: n, kernel: "compiled in the run"}
	g := &graph.Graph{Name: n.onnx.Name, Nodes: []*graph.Node{n.onnx}}
	b := &body{}
	var from []*slot
	seen := map[string]bool{}
	for i, v := range n.in {
		if v == nil || seen[n.names[i]] {
			continue
		}
		seen[n.names[i]] = true
		if v.konst != nil {
			g.SetConst(n.names[i], v.konst)
			continue
		}
		b.formal = append(b.formal, &graph.Value{Name: n.names[i], Type: v.typ})
		from = append(from, lw.use(v, rowMajor))
	}
	g.In = b.formal
	var made []*value
	for i, v := range n.out {
		if v != nil {
			g.Out, made = append(g.Out, &graph.Value{Name: n.onnx.Out[i]}), append(made, v)
		}
	}
	b.out = valueNames(g.Out)
	m := &graph.Model{IR: lw.net.model.IR, Opsets: lw.net.model.Opsets, Functions: lw.net.model.Functions, Graph: g}
	b.session = &Session{model: m, opt: Options{Threads: lw.threads, Seed: lw.seed, MaxMemory: lw.memory}, level: lw.level}
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
			if v := made[i]; v.known && !sameShape(res[i].Shape, v.shape) {
				return errDeclared
			}
			f.bind(s, res[i])
		}
		return nil
	}
	lw.emit(st)
}
