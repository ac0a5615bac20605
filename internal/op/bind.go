package op

import "lowbit/internal/graph"

// BindAttrs returns a node of f's body with its references to attributes replaced by the values
// that call gives them, or f's defaults. It returns n itself where there are none.
func BindAttrs(n *graph.Node, f *graph.Function, call *graph.Node) *graph.Node {
	return bindAttrs(n, f, call)
}
