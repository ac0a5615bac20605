package op

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"lowbit/internal/graph"
)

//go:embed schema.txt
var schemaText string

// A Schema is the signature of one version of an operator.
type Schema struct {
	Domain, Name string
	Since        int
	Deprecated   bool
	In, Out      []Param
	Attrs        []AttrSpec
	Vars         map[string][]string // allowed types of each type variable
}

// A Param is a formal operand.
type Param struct {
	Name, Type         string // Type is a type variable or a type
	Optional, Variadic bool
	Mixed              bool // the operands of a variadic may differ in type
}

// An AttrSpec is a formal attribute; Kind is AttributeProto's word in lower case.
type AttrSpec struct {
	Name, Kind string
	Required   bool
}

func parseSchemas(text string) []*Schema {
	sets := map[string][]string{}
	var list []*Schema
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		head, rest, _ := strings.Cut(line, " ")
		switch {
		case head == "#" || head == "":
		case head[0] == '#':
			sets[head] = strings.Split(rest, ",")
		default:
			list = append(list, parseSchema(line, sets))
		}
	}
	return list
}

func parseSchema(line string, sets map[string][]string) *Schema {
	part := strings.Split(line, "|")
	head := strings.Fields(part[0])
	s := &Schema{Domain: graph.CanonicalDomain(head[0]), Name: head[1], Deprecated: len(head) > 3, Vars: map[string][]string{}}
	s.Since, _ = strconv.Atoi(head[2])
	s.In, s.Out = parseParams(part[1]), parseParams(part[2])
	for _, f := range strings.Fields(part[3]) {
		name, kind, _ := strings.Cut(f, ":")
		s.Attrs = append(s.Attrs, AttrSpec{name, strings.TrimSuffix(kind, "!"), strings.HasSuffix(kind, "!")})
	}
	for _, f := range strings.Fields(part[4]) {
		name, set, _ := strings.Cut(f, "=")
		s.Vars[name] = sets[set]
	}
	return s
}

func parseParams(text string) []Param {
	var list []Param
	for _, f := range strings.Fields(text) {
		name, typ, _ := strings.Cut(f, ":")
		bare := strings.TrimRight(typ, "?*~")
		mark := typ[len(bare):]
		list = append(list, Param{Name: name, Type: bare, Optional: mark == "?", Variadic: mark == "*" || mark == "~", Mixed: mark == "~"})
	}
	return list
}

// MinIn returns how many inputs a node must at least list.
func (s *Schema) MinIn() int {
	n := 0
	for i, p := range s.In {
		if !p.Optional && !p.Variadic {
			n = i + 1
		}
	}
	return n
}

// CheckNode holds a node against the signature: the number of operands and the presence
// and type of every attribute. Eval and Infer may rely on what it accepts.
func (s *Schema) CheckNode(n *graph.Node) error {
	if err := checkArity("input", n.In, s.In, s.MinIn()); err != nil {
		return err
	}
	if err := checkArity("output", n.Out, s.Out, 0); err != nil {
		return err
	}
	for _, spec := range s.Attrs {
		a := n.Attr(spec.Name)
		if a == nil {
			if spec.Required {
				return fmt.Errorf("attribute %q is missing", spec.Name)
			}
			continue
		}
		if k := graph.AttrKind(a.Value); k != spec.Kind {
			return fmt.Errorf("attribute %q is of type %s, not %s", spec.Name, k, spec.Kind)
		}
	}
	return nil
}

func checkArity(what string, names []string, params []Param, least int) error {
	most := len(params)
	if most > 0 && params[most-1].Variadic {
		most = len(names)
	}
	if len(names) > most {
		return fmt.Errorf("%d %ss, at most %d are allowed", len(names), what, most)
	}
	if len(names) < least {
		return fmt.Errorf("%d %ss, at least %d are needed", len(names), what, least)
	}
	if what == "input" {
		for i := range least {
			if names[i] == "" && !params[i].Optional {
				return fmt.Errorf("input %d (%s) is left out", i, params[i].Name)
			}
		}
	}
	return nil
}
