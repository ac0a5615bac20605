package pass

import (
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
)

// A style is a way to write a quantized network.
type style struct {
	name string
	run  func(m *graph.Model, p *plan.Plan) error
}

// styles lists the styles in the order that help prints them; the first is the default.
var styles = []style{{"qdq", QDQ}, {"qoperator", QOperator}, {"contrib", Contrib}}

// Quantize writes a plan into the graph in the given style, "" for the default. A dynamic plan differs in
// style contrib alone; one to convert has one form whatever the style.
func Quantize(m *graph.Model, p *plan.Plan, name string) error {
	switch p.Mode {
	case plan.Dynamic:
		if name == "contrib" {
			return DynamicContrib(m, p)
		}
		return Dynamic(m, p)
	case plan.Convert:
		return Convert(m, p)
	}
	var known []string
	for _, s := range styles {
		if s.name == name || name == "" {
			return s.run(m, p)
		}
		known = append(known, s.name)
	}
	return fault.Invalidf("style", "%q is not one of %s", name, strings.Join(known, ", "))
}

// IsQuantized says whether a node belongs to a network that is quantized already: it converts
// to or from a quantized type, or computes on one.
func IsQuantized(n *graph.Node) bool {
	o := op.Lookup(n.Domain, n.Op)
	return o != nil && o.Quantized()
}
