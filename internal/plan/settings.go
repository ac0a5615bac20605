package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
)

// A Scheme is how one sort of value is quantized.
type Scheme struct {
	Format   *format.Format
	Block    format.Block    // the axis comes from the operator
	Observer *calib.Observer // nil: of activations that of the settings, of weights the format's own rule
}

// Settings are what a plan is made from.
type Settings struct {
	Mode      Mode
	Target    *Target
	Weights   Scheme
	Acts      Scheme
	Observer  *calib.Observer // of activations; nil tries several
	Symmetric bool            // activations are symmetric about zero
	Exact     bool            // scales of 8 bits are such that a simulation in floats is exact
	Ends      bool            // the first and the last node with weights keep eight bits
	Keep      []Pattern       // nodes that stay in float
	Overrides []Override
	Outliers  float64           // columns of activations that exceed it are multiplied in float; 0: none
	Trim      float64           // share of answers that may change while bits are trimmed from fixed point; 0: nothing is trimmed
	Leave     map[string]string // nodes that stay in float, by name, and why
	Light     map[string]bool   // those of them whose weights are stored in codes all the same
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

// Observers lists the observers that are asked for by name, each once.
func (s *Settings) Observers() []*calib.Observer {
	list := []*calib.Observer{s.Observer, s.Weights.Observer, s.Acts.Observer}
	for _, o := range s.Overrides {
		for _, c := range []*Scheme{o.Weights, o.Acts} {
			if c != nil {
				list = append(list, c.Observer)
			}
		}
	}
	var named []*calib.Observer
	for _, o := range list {
		if o != nil && !slices.Contains(named, o) {
			named = append(named, o)
		}
	}
	return named
}

// Own gives activations whose format has an observer of its own that one, where none is named. Where that is all of
// them nothing is left to try.
func (s *Settings) Own() {
	if s.Observer != nil {
		return
	}
	all := s.Acts.own() && !s.Ends
	s.Overrides = slices.Clone(s.Overrides)
	for i := range s.Overrides {
		if a := s.Overrides[i].Acts; a != nil {
			c := *a
			all = c.own() && all
			s.Overrides[i].Acts = &c
		}
	}
	if all {
		s.Observer = s.Acts.Observer
	}
}

// own gives the scheme the observer of its format, and says whether it has one.
func (s *Scheme) own() bool {
	if s.Observer == nil {
		s.Observer = calib.Own(s.Format)
	}
	return s.Observer != nil
}

// An Override changes the schemes of the nodes that match.
type Override struct {
	Match   Pattern
	Weights *Scheme
	Acts    *Scheme
}

// A Word is a name for a whole configuration, as the literature writes it.
type Word struct {
	Name          string
	Mode          Mode
	Weights, Acts string // formats, with the block behind a colon; "" is float
	Ends          bool   // the first and the last layer keep eight bits
}

// Schemes lists the words for whole configurations.
var Schemes = []Word{
	{"W8A8", Static, "int8:channel", "uint8", false},
	{"W8A16", Static, "int8:channel", "uint16", false},
	{"W4A8", Static, "int4:channel", "uint8", false},
	{"W4A16", Weights, "int4:group=32", "uint16", false},
	{"FP16", Convert, "fp16", "fp16", false},
	{"BF16", Static, "bf16", "bf16", false},
	{"FP8", Static, "fp8-e4m3:channel", "fp8-e4m3", false},
	{"BIN", Static, "binary:channel", "binary", true},
	{"LOG4", Static, "log4:channel", "uint8", false},
	{"float", Static, "", "", false},
}

// SchemeNames lists the schemes' names for messages.
func SchemeNames() string {
	var names []string
	for _, s := range Schemes {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// LookupScheme returns the scheme of that name, whatever its capitals, or nil.
func LookupScheme(name string) *Word {
	for i := range Schemes {
		if strings.EqualFold(Schemes[i].Name, name) {
			return &Schemes[i]
		}
	}
	return nil
}

// Default returns the settings of a scheme word.
func Default(scheme string) (Settings, error) {
	w := LookupScheme(scheme)
	if w == nil {
		return Settings{}, fault.Invalidf("scheme", "%q is not one of %s", scheme, SchemeNames())
	}
	return Settings{Mode: w.Mode, Target: Targets[0], Weights: parseScheme(w.Weights), Acts: parseScheme(w.Acts), Ends: w.Ends, Exact: true}, nil
}

// parseScheme reads FORMAT[:BLOCK] of the table above.
func parseScheme(s string) Scheme {
	name, block, _ := strings.Cut(s, ":")
	b, err := format.ParseBlock(block)
	if err != nil {
		b = format.Block{}
	}
	return Scheme{Format: format.Lookup(name), Block: b}
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
