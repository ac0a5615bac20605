package plan

import (
	"strings"
	"testing"

	"lowbit/internal/graph"
)

func TestPattern(t *testing.T) {
	n := &graph.Node{Op: "Conv", Name: "/backbone/layer.1/conv1", Out: []string{"t_0"}}
	for _, c := range []struct {
		pattern string
		match   bool
	}{
		{"/backbone/layer.1/conv1", true}, {"conv1", false}, {"*conv1", true}, {"*conv?", true}, {"/backbone/*", true},
		{"*/layer.[0-3]/*", true}, {"*/layer.[!0-3]/*", false}, {"*/layerx1/*", false}, {"t_*", true}, {"*[", false},
		{"re:conv", true}, {"re:^conv", false}, {"re:layer\\.[0-9]+", true}, {"op:Conv", true}, {"op:conv", false}, {"op:*", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if p.Match(n) != c.match {
			t.Errorf("%q matches: %v", c.pattern, !c.match)
		}
		if p.String() != c.pattern {
			t.Errorf("%q reads as %q", c.pattern, p)
		}
	}
	for name, pattern := range map[string]string{"größe": "gr?ße", "a\\b": "a[\\]b", "x[1]": "x[[]1]", "open[": "open["} {
		if p, err := ParsePattern(pattern); err != nil || !p.Match(&graph.Node{Name: name}) {
			t.Errorf("%q does not pick %q (%v)", pattern, name, err)
		}
	}
	for _, bad := range []string{"", "op:", "re:(", "[z-a]"} {
		if _, err := ParsePattern(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestDefault(t *testing.T) {
	for _, s := range Schemes {
		set, err := Default(strings.ToLower(s.Name))
		if err != nil || set.Mode != s.Mode || set.Target == nil {
			t.Errorf("%s: %+v (%v)", s.Name, set, err)
			continue
		}
		if (set.Weights.Format == nil) != (s.Weights == "") || (set.Acts.Format == nil) != (s.Acts == "") {
			t.Errorf("%s gives %v and %v", s.Name, set.Weights, set.Acts)
		}
	}
	if _, err := Default("W9A9"); err == nil || !strings.Contains(err.Error(), "W8A8, W8A16") {
		t.Errorf("an unknown scheme: %v", err)
	}
	for _, target := range Targets {
		if LookupTarget(target.Name) != target || target.Doc == "" {
			t.Errorf("target %q is not to be found", target.Name)
		}
	}
}
