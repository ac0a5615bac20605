package op

import (
	"testing"

	"lowbit/internal/graph"
)

// missing lists the operators of the default domain that are left out, and why.
var missing = map[string]string{
	"ImageDecoder": "needs decoders for nine image formats",
}

// TestEveryOperator wants a row with Infer and Eval for every signature of the default domain
// that a model of opset 7 to 28 may use, and no row twice.
func TestEveryOperator(t *testing.T) {
	for _, s := range parseSchemas(schemaText) {
		o := Lookup(s.Domain, s.Name)
		if o == nil && missing[s.Name] == "" {
			t.Errorf("%s %s is not implemented", s.Domain, s.Name)
		}
		if o != nil && missing[s.Name] != "" {
			t.Errorf("%s is implemented but listed as missing", s.Name)
		}
	}
	seen := map[opKey]bool{}
	for _, o := range All {
		if k := (opKey{graph.CanonicalDomain(o.Domain), o.Name}); seen[k] {
			t.Errorf("%s has two rows", o.Name)
		} else {
			seen[k] = true
		}
		if o.Eval == nil || o.Infer == nil {
			t.Errorf("%s lacks Eval or Infer", o.Name)
		}
	}
}
