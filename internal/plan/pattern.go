package plan

import (
	"fmt"
	"regexp"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
)

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
