package engine

import (
	"errors"
	"maps"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// errRigid says that a program with open dimensions is not worth having, errRun that a run that it was to be made after fails.
var (
	errRigid = errors.New("the dimensions that differ have to be known")
	errRun   = errors.New("the types do not fit")
)

// mostRigid is after how many open programs that were not worth having a session tries no more.
const mostRigid = 32

// openFor returns an open program for some types, compiled at the first request: one whose dimensions are open where the lengths
// differed in earlier runs, as the past of a language model does, which grows from word to word. It is nil where these types have a
// program of their own, and where no open one is worth having.
func (s *Session) openFor(types map[string]graph.Type, override []string) *keyed {
	k := s.openPlace(types, override)
	if k == nil {
		return nil
	}
	k.once.Do(func() { k.prog, k.err = s.compileOpen(k) })
	if k.err != nil {
		s.forget(k, !errors.Is(k.err, errRun))
		return nil
	}
	return k
}

// openPlace returns the place of an open program.
func (s *Session) openPlace(types map[string]graph.Type, override []string) *keyed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(override) > 0 || s.find(types) >= 0 {
		return nil
	}
	if i := slices.IndexFunc(s.programs, func(k *keyed) bool { return k.runs != nil && fits(k.types, types) }); i >= 0 {
		return s.refresh(i)
	}
	if len(s.rigids) == mostRigid {
		return nil
	}
	for _, k := range slices.Backward(s.programs) {
		if o := differing(k.types, types); o != nil && k.made && !s.rigids[typeKey(o)] {
			return s.keep(&keyed{types: o, runs: []map[string]graph.Type{k.types, types}})
		}
	}
	return nil
}

// compileOpen makes an open program. What was the same in the two runs before it is assumed to stay so where it cannot be proved,
// and held against what comes in each run.
func (s *Session) compileOpen(k *keyed) (*program, error) {
	var runs []op.Facts
	for _, types := range k.runs {
		_, facts, err := prepare(s.model, types, nil)
		if err != nil {
			return nil, errRun
		}
		runs = append(runs, facts)
	}
	return s.compile(k.types, nil, runs)
}

// forget drops an open program, for good where it is not worth having.
func (s *Session) forget(k *keyed, rigid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rigids == nil {
		s.rigids = map[string]bool{}
	}
	if rigid && len(s.rigids) < mostRigid {
		s.rigids[typeKey(k.types)] = true
	}
	s.programs = slices.DeleteFunc(s.programs, func(o *keyed) bool { return o == k })
}

// fits says whether types are those of an open program.
func fits(open, types map[string]graph.Type) bool {
	return maps.EqualFunc(open, types, func(o, t graph.Type) bool { return o.Accepts(t) })
}

// differing returns types with the dimensions open in which they differ from those of b; nil where they differ in anything else,
// or in nothing.
func differing(a, b map[string]graph.Type) map[string]graph.Type {
	out := map[string]graph.Type{}
	if len(a) != len(b) {
		return nil
	}
	differs := false
	for name, t := range a {
		u, ok := b[name]
		if !ok || !t.IsTensor() || !u.IsTensor() || t.DType != u.DType || !t.Ranked || !u.Ranked || len(t.Shape) != len(u.Shape) {
			return nil
		}
		t.Shape = slices.Clone(t.Shape)
		for i, d := range u.Shape {
			if d != t.Shape[i] {
				t.Shape[i], differs = graph.Unknown, true
			}
		}
		out[name] = t
	}
	if !differs {
		return nil
	}
	return out
}

// assumed is the kind of a node of whose results something is assumed in an open program. It runs by definition, and what comes is
// held against that.
const assumed = "assumed"

// copying lists operators that copy numbers or tell how many there are.
var copying = map[string]bool{
	"Concat": true, "Expand": true, "Gather": true, "Identity": true, "Reshape": true, "Shape": true, "Slice": true, "Split": true, "Squeeze": true, "Transpose": true,
	"Unsqueeze": true,
}

// rigid says whether a node would have to find out in each run how many numbers there are, that does much with them: a product, or
// what reads those of a weight or a caller. Around attentions whose past is open, copies are let off, and what is as short as masks.
func (g *net) rigid() bool {
	given := map[*value]bool{}
	for _, v := range g.in {
		given[v] = !v.typ.IsTensor() || v.typ.DType.IsFloat()
	}
	attends := slices.ContainsFunc(g.nodes, func(n *node) bool { return attentionReaders[n.kind] != nil && !n.static() })
	for _, n := range g.nodes {
		if attentionReaders[n.kind] != nil {
			continue
		}
		numbers := slices.ContainsFunc(n.in, func(v *value) bool { return given[v] || v.isWeight() })
		if n.kind == assumed || !n.static() {
			kind, letOff := n.kind, attends
			if kind == assumed {
				kind = kindOf(n.onnx)
			}
			if !copying[kind] {
				letOff = letOff && !n.wide() && !slices.ContainsFunc(n.in, (*value).isWeight)
			}
			if late[kind] || controls[kind] || numbers && !letOff {
				return true
			}
		}
		for _, v := range n.out {
			given[v] = numbers && v != nil
		}
	}
	return false
}

// isWeight says whether v is a constant of many numbers.
func (v *value) isWeight() bool {
	return v != nil && v.konst != nil && v.dtype.IsFloat() && v.konst.Len() >= weightLeast
}

// wide says whether the results have many elements for each step of an open dimension.
func (n *node) wide() bool {
	for _, v := range n.out {
		if v == nil {
			continue
		}
		size := 1
		for _, d := range v.typ.Shape {
			if d.IsKnown() {
				size *= max(d.Size, 1)
			}
		}
		if !v.typ.IsTensor() || !v.typ.Ranked || size > mostWide {
			return true
		}
	}
	return false
}

const (
	weightLeast = 1 << 12 // how many numbers a constant has at least that counts as a weight
	mostWide    = 1 << 9  // how many elements for each step of an open dimension are few
)
