package op

import (
	"lowbit/internal/fault"
	"lowbit/internal/graph"
)

// Resolve returns the operator that a node names, after its signature is checked. version
// is the imported version of the node's domain.
func Resolve(n *graph.Node, version int) (*Op, error) {
	o := Lookup(n.Domain, n.Op)
	if o == nil || o.Eval == nil {
		return nil, fault.Unsupportedf("", "operator %s is not implemented", QualifiedName(n))
	}
	s := o.Schema(version)
	if s == nil {
		return nil, fault.Invalidf("", "operator %s does not exist in opset %d", n.Op, version)
	}
	if err := s.CheckNode(n); err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	return o, nil
}

// QualifiedName returns "Conv" or "com.microsoft.FusedConv".
func QualifiedName(n *graph.Node) string {
	if d := graph.CanonicalDomain(n.Domain); d != "" {
		return d + "." + n.Op
	}
	return n.Op
}

// versionOf is the imported version of a node's domain; files that leave it out mean the first.
func versionOf(opsets []graph.Opset, domain string) int { return max(1, graph.OpsetIn(opsets, domain)) }
