package plan

import (
	"fmt"
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
	Leave     map[string]string // nodes that stay in float, by name, and why
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
// of an operator. In a glob, * and ? stand for any characters, slashes included.
type Pattern struct {
	text string
	re   *regexp.Regexp // nil where op is given
	op   string
}

// ParsePattern reads a pattern.
func ParsePattern(s string) (Pattern, error) {
	p := Pattern{text: s}
	expr, isRE := strings.CutPrefix(s, "re:")
	name, isOp := strings.CutPrefix(s, "op:")
	switch {
	case s == "" || isOp && name == "":
		return p, fault.Invalidf("pattern", "%q picks nothing", s)
	case isOp:
		p.op = name
		return p, nil
	case !isRE:
		expr = globExpr(s)
	}
	var err error
	if p.re, err = regexp.Compile(expr); err != nil {
		return p, fault.Invalidf(fmt.Sprintf("pattern %q", s), "%v", err)
	}
	return p, nil
}

// globExpr writes a glob as a regular expression. Sets such as [a-z] and [!a-z] mean the same in
// both, but for the mark of negation; a bracket that nothing closes means itself.
func globExpr(glob string) string {
	var b strings.Builder
	b.WriteString("(?s)^")
	for i := 0; i < len(glob); i++ {
		switch c := glob[i : i+1]; {
		case c == "*":
			b.WriteString(".*")
		case c == "?":
			b.WriteString(".")
		case c == "[" && strings.IndexByte(glob[i:], ']') > 1:
			end := i + strings.IndexByte(glob[i:], ']')
			set := strings.ReplaceAll(glob[i+1:end], `\`, `\\`)
			if rest, ok := strings.CutPrefix(set, "!"); ok {
				set = "^" + rest
			}
			b.WriteString("[" + set + "]")
			i = end
		default:
			b.WriteString(regexp.QuoteMeta(c))
		}
	}
	return b.String() + "$"
}

func (p Pattern) String() string { return p.text }

// Match says whether the pattern picks node n, by its own name or that of its first output.
func (p Pattern) Match(n *graph.Node) bool {
	if p.op != "" {
		return n.Op == p.op
	}
	return p.re.MatchString(n.Name) || len(n.Out) > 0 && p.re.MatchString(n.Out[0])
}
