package doctor

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
)

// sensitiveOps have results whose small differences count, over ranges that eight bits do not resolve.
var sensitiveOps = []string{"Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization", "Gelu", "Erf", "Exp", "Log", "Pow", "Sqrt"}

// tailOps are operators that decode boxes and scores behind the last layer.
var tailOps = []string{"Add", "Sub", "Mul", "Div", "Concat", "Exp", "Sigmoid"}

// sensitive tells of operators that eight bits do not suit.
func (e *exam) sensitive() []*finding {
	return e.roundedOps(func(u *unit) string {
		if slices.Contains(sensitiveOps, u.node.Op) {
			return "is computed on rounded values"
		}
		return ""
	})
}

// exact tells of operators that targets compute in float, and of those that decode outputs.
func (e *exam) exact() []*finding {
	before := e.beforeLayers()
	return e.roundedOps(func(u *unit) string {
		switch {
		case slices.Contains(tailOps, u.node.Op) && !before[u.node] && !e.isBias(u):
			return "decodes outputs behind the last layer on rounded values"
		case slices.Contains(plan.Targets[0].Float, u.node.Op):
			return "is computed on rounded values, which targets keep in float"
		}
		return ""
	})
}

// roundedOps tells of operators that read or write quantized values, for the reason that why gives.
func (e *exam) roundedOps(why func(u *unit) string) (list []*finding) {
	for _, u := range e.nodes {
		what := ""
		if u.weights == nil {
			what = why(u)
		}
		if what == "" {
			continue
		}
		f := &finding{unit: u}
		for _, s := range append([]*site{u.out}, u.in...) {
			if s == nil || s.kind != acts || slices.Contains(f.sites, s) {
				continue
			}
			f.sites = append(f.sites, s)
			if r := e.screening.acts[s]; r != nil {
				f.local = max(f.local, noise(r.SQNR()))
			}
		}
		if len(f.sites) > 0 {
			f.evidence = fmt.Sprintf("%s %s, the worst of them %.1f dB", u, what, -10*math.Log10(f.local))
			list = append(list, f)
		}
	}
	return list
}

// beforeLayers tells which nodes some layer with weights depends on.
func (e *exam) beforeLayers() map[*graph.Node]bool {
	before := map[*graph.Node]bool{}
	var mark func(name string)
	mark = func(name string) {
		if p := e.x.Producer(name); p != nil && !before[p] {
			before[p] = true
			for _, in := range p.In {
				mark(in)
			}
		}
	}
	for _, u := range e.layers() {
		for _, in := range u.node.In {
			mark(in)
		}
	}
	return before
}

// isLayer says whether a unit multiplies by constant weights, or adds the bias of one that does.
func (e *exam) isLayer(u *unit) bool {
	return slices.ContainsFunc(e.layers(), func(l *unit) bool { return l == u || l.last() == u.node })
}

// isBias says whether a unit only adds a constant to a layer's result.
func (e *exam) isBias(u *unit) bool {
	return e.isLayer(u) || u.node.Op == "Add" && slices.ContainsFunc(u.in, func(s *site) bool { return s != nil && s.kind == weights }) ||
		u.node.Op == "Add" && slices.ContainsFunc(u.node.In, func(name string) bool { return e.m.Graph.ConstTensor(name) != nil })
}

// unclamped tells of codes that are to do the work of clamps, but reach beyond these.
func (e *exam) unclamped() (list []*finding) {
	for _, s := range e.sites {
		for _, c := range s.clamps {
			a, b := boundsOf(e.float.Graph, c)
			lo, hi := s.span()
			if step := float64(s.params.Scale); lo < a-step || hi > b+step {
				list = append(list, e.at(s, 1, "%s: codes reach [%.4g, %.4g], and no %s stands before them, which leaves [%.4g, %.4g] in the float network", s, lo, hi, c.Op, a, b))
				break
			}
		}
	}
	return list
}

// unfused tells of sites between a layer and its clamp, or without it.
func (e *exam) unfused() (list []*finding) {
	list = e.unclamped()
	for _, u := range e.nodes {
		s := u.out
		if s == nil || !e.isLayer(u) || len(s.reads) == 0 || e.screening.acts[s] == nil {
			continue
		}
		if !slices.ContainsFunc(s.reads, func(r use) bool { return !isClamp(r.unit.node) }) {
			f := e.at(s, noise(e.screening.acts[s].SQNR()), "%s is rounded before %s, so that its codes also span what that cuts off, and runtimes cannot fuse the two", u, s.reads[0].unit)
			f.sure = true
			list = append(list, f)
		}
	}
	return list
}

// within names an operator in whose bodies values are quantized, which are not examined; "" where there is none.
func (n *net) within() string {
	for _, node := range n.m.Graph.Nodes {
		for _, body := range node.Subgraphs() {
			for g := range body.Graphs() {
				if slices.ContainsFunc(g.Nodes, pass.IsQuantized) {
					return fmt.Sprintf("%s %q", node.Op, nameOf(node))
				}
			}
		}
	}
	return ""
}
