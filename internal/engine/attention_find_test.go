package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A plainAttention is an attention behind a past by plain operators.
type plainAttention struct {
	c             attentionCase
	rows          bool // operands and result have their rows in front of their heads
	scaled        string
	masks         []string
	zeroed, reads bool // weights that are none become zero; weights are results
	none          bool // results that are none are told apart
}

func (k *maker) transposed(x string, perm ...int64) string {
	return k.node("Transpose", []string{x}, "perm", perm)
}

func (k *maker) operand(p *plainAttention, heads, size int) string {
	if p.rows {
		return k.transposed(k.input(k.floats(p.c.batch, p.c.rows, heads, size)), 0, 2, 1, 3)
	}
	return k.input(k.floats(p.c.batch, heads, p.c.rows, size))
}

// behind puts new keys or values behind their past, and repeats them for all heads.
func (k *maker) behind(p *plainAttention, size int) string {
	c := p.c
	past := k.input(k.floats(c.batch, c.kv, c.past, size))
	x := k.node("Concat", []string{past, k.operand(p, c.kv, size)}, "axis", int64(-2))
	k.output(x)
	if c.heads == c.kv {
		return x
	}
	group, total := int64(c.heads/c.kv), int64(c.past+c.rows)
	u := k.node("Unsqueeze", []string{x, k.constant(tensor.Vector(2))})
	e := k.node("Expand", []string{u, k.constant(tensor.Vector(int64(c.batch), int64(c.kv), group, total, int64(size)))})
	return k.node("Reshape", []string{e, k.constant(tensor.Vector(int64(c.batch), int64(c.heads), -1, int64(size)))})
}

func (k *maker) plain(p *plainAttention) {
	q := k.operand(p, p.c.heads, p.c.size)
	keys := k.transposed(k.behind(p, p.c.size), 0, 1, 3, 2)
	if p.scaled == "keys" {
		keys = k.node("Mul", []string{keys, k.scalar(.3)})
	}
	s := k.node("MatMul", []string{q, keys})
	switch p.scaled {
	case "mul":
		s = k.node("Mul", []string{k.scalar(.25), s})
	case "div":
		s = k.node("Div", []string{s, k.scalar(4)})
	}
	for i, m := range p.masks {
		in := []string{s, m}
		if i > 0 {
			slices.Reverse(in)
		}
		s = k.node("Add", in)
	}
	w := k.node("Softmax", []string{s}, "axis", int64(-1))
	if p.zeroed {
		w = k.node("Where", []string{k.node("IsNaN", []string{w}), k.scalar(0), w})
	}
	if p.reads {
		k.output(w)
	}
	y := k.node("MatMul", []string{w, k.behind(p, p.c.size+1)})
	if p.rows {
		y = k.transposed(y, 0, 2, 1, 3)
	}
	if p.none {
		is := k.node("IsNaN", []string{y})
		k.output(k.node("Cast", []string{is}, "to", int64(1)))
		y = k.node("Where", []string{is, k.scalar(0), y})
	}
	k.output(y)
}

// open is a mask that shuts out later keys, and of the last rows all.
func (k *maker) open(c attentionCase, shut int) string {
	m := k.floats(1, 1, c.rows, c.past+c.rows)
	for i := range c.rows {
		for j := range c.past + c.rows {
			if j > c.past+i || i >= c.rows-shut {
				tensor.Of[float32](m)[i*(c.past+c.rows)+j] = float32(math.Inf(-1))
			}
		}
	}
	return k.input(m)
}

// TestFoundAttention finds attentions in the forms that exporters write.
func TestFoundAttention(t *testing.T) {
	for i, c := range []attentionCase{{1, 4, 4, 1, 37, 16}, {2, 6, 2, 3, 300, 8}, {1, 4, 1, 30, 0, 12}} {
		for form, set := range map[string]func(k *maker, p *plainAttention){
			"plain":        func(k *maker, p *plainAttention) {},
			"rows, causal": func(k *maker, p *plainAttention) { p.rows, p.scaled, p.masks = true, "div", []string{k.open(c, 0)} },
			"keys, masks": func(k *maker, p *plainAttention) {
				p.scaled, p.masks = "keys", []string{k.input(k.floats(c.batch, 1, 1, c.past+c.rows)), k.open(c, 0)}
			},
			"zeroed":        func(k *maker, p *plainAttention) { p.scaled, p.zeroed, p.masks = "mul", true, []string{k.open(c, 1)} },
			"none is open":  func(k *maker, p *plainAttention) { p.none, p.masks = true, []string{k.open(c, 1)} },
			"mask of heads": func(k *maker, p *plainAttention) { p.masks = []string{k.input(k.floats(c.heads, 1, 1))} },
		} {
			t.Run(fmt.Sprintf("%d %s", i, form), func(t *testing.T) {
				k, p := newMaker(uint64(i+1)), &plainAttention{c: c}
				set(k, p)
				k.plain(p)
				wantKernels(t, k.checkFloat(t), "attention operands", "f32 attention")
			})
		}
	}
}

// TestReadAttention leaves an attention as it is whose weights are a result.
func TestReadAttention(t *testing.T) {
	k := newMaker(1)
	k.plain(&plainAttention{c: attentionCase{1, 2, 2, 2, 5, 4}, reads: true})
	if names := kernelsOf(k.checkFloat(t)); slices.Contains(names, "f32 attention") {
		t.Errorf("steps are %v", names)
	}
}

// TestFoundOpenPrograms lets the past of a found attention grow.
func TestFoundOpenPrograms(t *testing.T) {
	k, c := newMaker(2), attentionCase{1, 2, 2, 1, 3, 4}
	mask := k.input(tensor.New(tensor.Int64, 1, 4))
	m := k.node("Unsqueeze", []string{k.node("Mul", []string{k.node("Cast", []string{mask}, "to", int64(1)), k.scalar(-.5)}), k.constant(tensor.Vector(1, 2))})
	k.plain(&plainAttention{c: c, masks: []string{m}})
	in := k.m.Graph.In
	for _, v := range in {
		if n := len(v.Type.Shape); v.Name == mask {
			v.Type.Shape[1] = graph.Unknown
		} else if v.Type.Shape[2].Size == c.past {
			v.Type.Shape[n-2] = graph.Unknown
		}
	}
	s := k.compile(t, Options{Threads: 1})
	for past := range 6 {
		for _, v := range in {
			switch {
			case v.Name == mask:
				k.in[mask] = tensor.New(tensor.Int64, 1, past+1)
				tensor.Of[int64](k.in[mask])[past/2] = 1
			case !v.Type.Shape[2].IsKnown():
				k.in[v.Name] = k.floats(1, 2, past, v.Type.Shape[3].Size)
			}
		}
		got, err := s.Run(context.Background(), k.in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := op.Run(k.m, k.in, op.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			within(t, name, got[name], w, 1e-4, 1e-5)
		}
	}
	if len(s.programs) != 2 || len(s.rigids) != 0 {
		t.Errorf("%d programs for six lengths, %d open ones in vain", len(s.programs), len(s.rigids))
	}
}

// TestManyKeys takes an attention without a past block by block where it has many keys, and leaves small ones to products.
func TestManyKeys(t *testing.T) {
	for _, rows := range []int{manyKeys - 1, manyKeys, 700} {
		for _, front := range []bool{false, true} {
			k := newMaker(uint64(rows))
			heads := func(size int) string {
				if front {
					return k.input(k.floats(1, 2, rows, size))
				}
				return k.transposed(k.input(k.floats(1, rows, 2, size)), 0, 2, 1, 3)
			}
			q, v := heads(8), heads(5)
			keys := ""
			if front {
				keys = k.transposed(k.input(k.floats(1, 2, rows, 8)), 0, 1, 3, 2)
			} else {
				keys = k.transposed(k.input(k.floats(1, rows, 2, 8)), 0, 2, 3, 1)
			}
			s := k.node("Add", []string{k.node("Mul", []string{k.node("MatMul", []string{q, keys}), k.scalar(.4)}), k.input(k.floats(1, rows, 1))})
			k.output(k.node("MatMul", []string{k.node("Softmax", []string{s}, "axis", int64(-1)), v}))
			if found := slices.Contains(kernelsOf(k.checkFloat(t)), "f32 attention"); found != (rows >= manyKeys) {
				t.Errorf("%d keys: found %v", rows, found)
			}
		}
	}
}
