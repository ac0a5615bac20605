package op

import (
	"slices"

	"lowbit/internal/graph"
)

// Invariants writes a Loop or Scan without the values that it carries round unchanged: the body reads them from outside, and
// what the loop handed on of them is copied from what it was given. Exporters of other frameworks carry the weights of a
// recurrent layer so, which nobody would know for constants then. The first node is the loop; nil says that it carries no such value.
func Invariants(n *graph.Node) []*graph.Node {
	var states []string // the carried values
	at := 0             // where they begin among the body's inputs
	switch {
	case graph.CanonicalDomain(n.Domain) != "":
		return nil
	case n.Op == "Loop" && len(n.In) > 2:
		states, at = n.In[2:], 2
	case n.Op == "Scan":
		states = n.In[:min(len(n.In), max(0, len(n.In)-n.Int("num_scan_inputs", 0)))]
	default:
		return nil
	}
	body := n.Graph("body")
	first := at / 2 // of the body's outputs: behind the condition of a Loop
	if body == nil || len(body.In) != len(n.In) || len(body.Out) < first+len(states) {
		return nil
	}
	var gone []int
	for k, from := range states {
		if from != "" && invariant(body, body.In[at+k].Name, body.Out[first+k].Name) && !defines(body, from) {
			gone = append(gone, k)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	names := map[string]string{}
	list := []*graph.Node{nil}
	for _, k := range gone {
		names[body.In[at+k].Name] = states[k]
		if k < len(n.Out) && n.Out[k] != "" {
			list = append(list, &graph.Node{Op: "Identity", Name: n.Out[k], In: []string{states[k]}, Out: []string{n.Out[k]}})
		}
	}
	c, b := *n, body.RenamedReads(names)
	b.In, b.Out = without(body.In, at, gone), without(b.Out, first, gone)
	c.In, c.Out = without(n.In, at, gone), without(n.Out, 0, gone)
	c.Attrs = slices.Clone(n.Attrs)
	for i, a := range c.Attrs {
		if a.Name == "body" {
			a := *a
			a.Value = b
			c.Attrs[i] = &a
		}
	}
	list[0] = &c
	return list
}

// invariant says whether a body's output is its input as it came, which no other output is: those have to be made within.
func invariant(body *graph.Graph, in, out string) bool {
	count := 0
	for _, v := range body.Out {
		if v.Name == in {
			count++
		}
	}
	x := body.Index()
	for out != in {
		p := x.Producer(out)
		if p == nil || p.Op != "Identity" || graph.CanonicalDomain(p.Domain) != "" {
			return false
		}
		out = p.In[0]
		if out == in {
			return count == 0
		}
	}
	return count == 1
}

// defines says whether a name means something of its own in g or in a graph within.
func defines(g *graph.Graph, name string) bool {
	for s := range g.Graphs() {
		if s.Input(name) != nil || s.Const(name) != nil || slices.ContainsFunc(s.Nodes, func(n *graph.Node) bool { return slices.Contains(n.Out, name) }) {
			return true
		}
	}
	return false
}

// without returns a copy of a list without the elements of those numbers, counted from at.
func without[T any](list []T, at int, gone []int) []T {
	var out []T
	for i, v := range list {
		if !slices.Contains(gone, i-at) {
			out = append(out, v)
		}
	}
	return out
}
