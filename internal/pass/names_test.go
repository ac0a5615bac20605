package pass

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestAddedNames holds that names of what passes add stay short, tell what they are, and differ.
func TestAddedNames(t *testing.T) {
	used := names{}
	long := strings.Repeat("model/layer;", 30) + "é"
	seen := map[string]bool{}
	for _, what := range []string{"_q", "_scale", "_zp", "_q", "_q"} {
		name := used.added(long + what)
		if len(name) > nameMost+2 || !utf8.ValidString(name) || !strings.HasPrefix(name, "model/layer") || !strings.Contains(name, what) || seen[name] {
			t.Errorf("%q for %s", name, what)
		}
		seen[name] = true
	}
	if name := used.added("conv_q"); name != "conv_q" {
		t.Errorf("%q", name)
	}
}
