package engine

import (
	"errors"
	"maps"
	"slices"

	"lowbit/internal/graph"
)

// errRigid says that a program with open dimensions is not worth having.
var errRigid = errors.New("the dimensions that differ have to be known")

// mostRigid is after how many open programs that were not worth having a session tries no more.
const mostRigid = 32

// openFor returns the open program for some types: one whose dimensions are open where the lengths differed in earlier runs, as
// the past of a language model does, which grows from word to word. It is nil where nothing ran that differs from these types in
// dimensions alone.
func (s *Session) openFor(types map[string]graph.Type) *keyed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.programs, func(k *keyed) bool { return k.open && fits(k.types, types) }); i >= 0 {
		return s.refresh(i)
	}
	open := ""
	var opened map[string]graph.Type
	for _, k := range s.programs {
		if o := differing(k.types, types); o != nil && opened == nil && !k.open && !s.rigids[typeKey(o)] {
			opened, open = o, typeKey(o)
		}
	}
	if opened == nil || len(s.rigids) == mostRigid {
		return nil
	}
	return s.keep(&keyed{key: open, types: opened, open: true})
}

// forget drops an open program that is not worth having.
func (s *Session) forget(k *keyed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rigids == nil {
		s.rigids = map[string]bool{}
	}
	if len(s.rigids) < mostRigid {
		s.rigids[k.key] = true
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

// rigid says whether a node of a weight, or one of numbers that a caller gives, other than an attention, would have to find out in
// each run how many numbers there are. The masks of language models, which are made of whole numbers, may.
func (g *net) rigid() bool {
	given := map[*value]bool{}
	for _, v := range g.in {
		given[v] = !v.typ.IsTensor() || v.typ.DType.IsFloat()
	}
	for _, n := range g.nodes {
		if attentionReaders[n.kind] != nil {
			continue
		}
		numbers := false
		for _, v := range n.in {
			if v != nil && (given[v] || v.konst != nil && v.dtype.IsFloat() && v.konst.Len() >= weightLeast) {
				numbers = true
			}
		}
		if !n.static() && (numbers || late[n.kind]) {
			return true
		}
		for _, v := range n.out {
			given[v] = numbers
		}
	}
	return false
}

// weightLeast is how many numbers a constant has at least that counts as a weight.
const weightLeast = 1 << 12
