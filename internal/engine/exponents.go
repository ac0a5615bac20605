package engine

import (
	"context"
	"math"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A chain is the way from a value to the magnitude it is rounded to in the log domain:
// 2^clip(round(log₂|x|)) in the operators that write it.
type chain struct {
	g     *net
	x     *value
	nodes []*node // from Abs to Pow
}

// findExponents turns such chains, times the sign, into "log codes" nodes and what these mean.
func findExponents(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		c, ok := g.chainOf(n)
		if !ok {
			continue
		}
		at, least, ok := c.bounds()
		if !ok {
			continue
		}
		y := n.out[0]
		u := g.newValue(y, tensor.Uint8, y.shape)
		g.insert(newNode("log codes", n, at, []*value{c.x}, []*value{u}), n)
		n.become("dequantize", affine{least, kernel.ExponentZero}, u)
	}
	g.sweep()
}

// rising lists the operators of a chain that never fall where their operand rises, and when.
var rising = map[string]func(n *node, of *value) bool{
	"Log":   func(*node, *value) bool { return true },
	"Round": func(*node, *value) bool { return true },
	"Clip":  func(n *node, of *value) bool { return of == n.in[0] },
	"Mul": func(n *node, of *value) bool {
		by, ok := scalar(other(n, of))
		return ok && by > 0
	},
	"Pow": func(n *node, of *value) bool {
		base, ok := scalar(n.in[0])
		return ok && base > 1 && of == n.in[1]
	},
}

// chainOf reads a product of a sign and the end of a chain.
func (g *net) chainOf(n *node) (*chain, bool) {
	if n.kind != "Mul" || n.formal != 2 || !n.static() || !n.out[0].is(tensor.Float32) {
		return nil, false
	}
	for i, v := range n.in {
		s := n.in[1-i].def
		if s == nil || s.kind != "Sign" || v.def == nil || v.def.kind != "Pow" {
			continue
		}
		c := &chain{g: g, x: s.in[0]}
		ok := c.follow(v) && c.x.is(tensor.Float32) && c.x.konst == nil && c.x.elems() > 0 && sameShape(c.x.shape, n.out[0].shape)
		return c, ok
	}
	return nil, false
}

// follow goes back from v to the magnitude of x.
func (c *chain) follow(v *value) bool {
	for range maxRegion {
		n := v.def
		if n == nil || !n.static() || len(n.out) != 1 {
			return false
		}
		if n.kind == "Abs" {
			c.nodes = append(c.nodes, n)
			slices.Reverse(c.nodes)
			return n.in[0] == c.x
		}
		i := slices.IndexFunc(n.in, func(v *value) bool { return v != nil && v.konst == nil })
		test := rising[n.kind]
		if i < 0 || test == nil || !test(n, n.in[i]) {
			return false
		}
		c.nodes = append(c.nodes, n)
		v = n.in[i]
	}
	return false
}

// bounds finds the numbers from which on the chain gives the next power of two, and the least magnitude; it
// fails where the chain gives anything but powers of two times that, or too many.
func (c *chain) bounds() (at *[kernel.Exponents]float32, least float32, ok bool) {
	ends := c.apply([]float32{0, math.MaxFloat32})
	if ends == nil || !(ends[0] > 0) || ends[1] > ends[0]*(1<<kernel.Exponents) {
		return nil, 0, false
	}
	at, least = new([kernel.Exponents]float32), ends[0]
	steps := 0
	for ; least*float32(int(1)<<steps) < ends[1]; steps++ {
		at[steps] = math.MaxFloat32
	}
	lo := make([]uint32, steps) // the chain is below the step here, and not at the bound
	for range 32 {
		mid := make([]float32, steps)
		for i := range mid {
			mid[i] = math.Float32frombits(lo[i] + (math.Float32bits(at[i])-lo[i])/2)
		}
		for i, v := range c.apply(mid) {
			if v >= least*float32(int(2)<<i) {
				at[i] = mid[i]
			} else {
				lo[i] = math.Float32bits(mid[i])
			}
		}
	}
	ok = c.steps(at[:steps], least)
	for i := steps; i < len(at); i++ {
		at[i] = float32(math.NaN())
	}
	return at, least, ok
}

// steps says whether the chain is constant between the bounds and doubles at each.
func (c *chain) steps(at []float32, least float32) bool {
	var x, want []float32
	for i, t := range at {
		x = append(x, math.Float32frombits(math.Float32bits(t)-1), t)
		want = append(want, least*float32(int(1)<<i), least*float32(int(2)<<i))
	}
	return slices.Equal(c.apply(append(x, math.MaxFloat32)), append(want, least*float32(int(1)<<len(at))))
}

// apply evaluates the chain by the operators' definitions; nil where they fail.
func (c *chain) apply(x []float32) []float32 {
	if len(x) == 0 {
		return nil
	}
	v, t := c.x, tensor.Float32s(x, len(x))
	for _, n := range c.nodes {
		in := make([]*tensor.Tensor, len(n.in))
		for i, o := range n.in {
			switch {
			case o == v:
				in[i] = t
			case o != nil:
				in[i] = o.konst.Reshape()
			}
		}
		e, err := c.g.evaluator(n, 0)
		if err != nil || e.hosted != nil {
			return nil
		}
		out, err := e.run(context.Background(), in)
		if err != nil || out[0].DType != tensor.Float32 || out[0].Len() != len(x) {
			return nil
		}
		v, t = n.out[0], out[0]
	}
	return tensor.Of[float32](t)
}

// mostLogCode is the code of the greatest magnitude.
func mostLogCode(at *[kernel.Exponents]float32) uint8 {
	mag := 1
	for _, t := range at {
		if t == t {
			mag *= 2
		}
	}
	return uint8(kernel.ExponentZero + mag)
}

func lowerLogCodes(lw *lowerer, n *node) bool {
	at, level := n.spec.(*[kernel.Exponents]float32), lw.level
	lw.elementwise(n, "f32 to log codes", func(f *frame, dst, x *slot, from, to int) {
		level.LogCodes(f.u8(dst)[from:to], f.f32(x)[from:to], at)
	})
	return true
}
