package plan

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
)

// A Scheme is how one sort of value is quantized.
type Scheme struct {
	Format *format.Format
	Block  format.Block // the axis comes from the operator
}

// Settings are what a plan is made from.
type Settings struct {
	Mode      Mode
	Target    *Target
	Weights   Scheme
	Acts      Scheme
	Observer  *calib.Observer // of activations; nil tries several
	Symmetric bool            // activations are symmetric about zero
	Keep      []Pattern       // nodes that stay in float
	Overrides []Override
}

// Float says whether the settings leave every node in float.
func (s *Settings) Float() bool {
	for _, o := range s.Overrides {
		if o.Weights != nil && o.Weights.Format != nil {
			return false
		}
	}
	return s.Weights.Format == nil
}

// An Override changes the schemes of the nodes that match.
type Override struct {
	Match   Pattern
	Weights *Scheme
	Acts    *Scheme
}

// Schemes lists the words for whole configurations, as the literature writes them.
var Schemes = []struct {
	Name          string
	Weights, Acts string // "" is float
}{
	{"W8A8", "int8", "uint8"},
	{"W8A16", "int8", "uint16"},
	{"float", "", ""},
}

// Default returns the settings of a scheme word.
func Default(scheme string) (Settings, error) {
	var names []string
	for _, s := range Schemes {
		if strings.EqualFold(s.Name, scheme) {
			return Settings{
				Mode: Static, Target: Targets[0],
				Weights: Scheme{Format: format.Lookup(s.Weights), Block: format.Block{Kind: format.Channel}},
				Acts:    Scheme{Format: format.Lookup(s.Acts)},
			}, nil
		}
		names = append(names, s.Name)
	}
	return Settings{}, fault.Invalidf("scheme", "%q is not one of %s", scheme, strings.Join(names, ", "))
}

// A Pattern picks nodes by name: a glob, "re:" and a regular expression, or "op:" and the name
// of an operator.
type Pattern struct {
	text string
	re   *regexp.Regexp
	op   string
}

// ParsePattern reads a pattern.
func ParsePattern(s string) (Pattern, error) {
	if expr, ok := strings.CutPrefix(s, "re:"); ok {
		re, err := regexp.Compile(expr)
		if err != nil {
			return Pattern{}, fault.Invalidf(fmt.Sprintf("pattern %q", s), "%v", err)
		}
		return Pattern{text: s, re: re}, nil
	}
	if op, ok := strings.CutPrefix(s, "op:"); ok {
		return Pattern{text: s, op: op}, nil
	}
	if _, err := path.Match(s, ""); err != nil {
		return Pattern{}, fault.Invalidf(fmt.Sprintf("pattern %q", s), "%v", err)
	}
	return Pattern{text: s}, nil
}

func (p Pattern) String() string { return p.text }

// Match says whether the pattern picks node n, by its own name or that of its first output.
func (p Pattern) Match(n *graph.Node) bool {
	if p.op != "" {
		return n.Op == p.op
	}
	names := []string{n.Name}
	if len(n.Out) > 0 {
		names = append(names, n.Out[0])
	}
	for _, name := range names {
		if p.re != nil {
			if p.re.MatchString(name) {
				return true
			}
			continue
		}
		if ok, _ := path.Match(p.text, name); ok {
			return true
		}
	}
	return false
}
