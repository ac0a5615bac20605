package plan

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"lowbit/internal/format"
)

// shortBits is how many bits the significands of exact scales of 8-bit codes have; those of weights of fewer bits
// have as many more, since their sums are so much smaller.
//
// Engines multiply codes and sum in integers; a runtime that takes Q/DQ literally multiplies what the
// codes stand for and sums in float32. The two agree bit for bit where every float32 operation of the
// second is exact, which short significands give: with sx = X·2^i, sw = W·2^j and X, W whole numbers
// of 4 bits, every partial sum of (qx−zx)·sx·qw·sw, in whatever order, is a whole number times 2^(i+j),
// and exact while that number stays below 2^24: sums of up to 2^24/15² = 74,565 steps, larger ones where
// X and W are smaller or the sum is even. Then the second runtime rounds the quotient acc·sx·sw/sy and
// the first the product acc·m, m = float32(sx·sw/sy). These could only part where the quotient is a
// tie, and scales of weights are chosen so that the product is exact there.
const shortBits = 4

func exactReason(significand int) string {
	return fmt.Sprintf("; scale of %d bits, exact in floats", significand)
}

// shorten rounds the scales of values that were just fitted to short significands.
func (p *Plan) shorten(fitted []*Value, byAs map[string]*Value) {
	for _, v := range fitted {
		if v.Role != RoleWeight && v.eightBits() {
			v.Params[0] = shortened(v.Params[0], 8)
			v.Reason += exactReason(shortBits)
		}
	}
	p.untie(fitted, byAs)
	p.even(fitted, byAs)
	near := p.neighbours(byAs)
	for _, v := range fitted {
		pairs, met := near[v.As]
		width := v.wholeBits()
		if !met || width == 0 || v.Block.Kind == format.Group {
			continue
		}
		for i, q := range v.Params {
			v.Params[i] = exactAmong(shortened(q, width), width, pairs)
		}
		v.Reason += exactReason(significand(width))
	}
}

// untie chooses scales of sums and their operands with which no sum is a tie, because runtimes part
// there: some round before they add the zero point, some after. With the scale of the sum an odd number
// of units and those of its operands whole numbers of them, no quotient ends in one half. The last sums
// come first: what flows from one to the next is a result and an operand, and best an odd number of the
// next one's units. A scale that would grow by more than a quarter stays, and so do the ties.
func (p *Plan) untie(fitted []*Value, byAs map[string]*Value) {
	free, sums := map[*Value]bool{}, map[*Value]bool{}
	for _, v := range fitted {
		free[v] = v.Role != RoleWeight && v.eightBits()
	}
	for _, n := range p.Nodes {
		if n.sum {
			sums[source(byAs, n.output)] = true
		}
	}
	settled := map[*Value]bool{}
	for _, n := range slices.Backward(p.Nodes) {
		out := source(byAs, n.output)
		if !n.sum || out == nil || !free[out] {
			continue
		}
		if s := &out.Params[0].Scale; !settled[out] {
			_, exp := math.Frexp(float64(*s))
			*s = wholeUnits(*s, math.Ldexp(1, exp-shortBits), true)
		}
		_, exp := whole(out.Params[0].Scale)
		for _, as := range n.Inputs {
			v := source(byAs, as)
			if v == nil || !free[v] {
				continue
			}
			v.Params[0].Scale, settled[v] = wholeUnits(v.Params[0].Scale, math.Ldexp(1, exp), sums[v]), true
		}
	}
}

// even gives the results of products and means even zero points. Their quotients often end in one half,
// since the scales are ratios of small numbers; rounded to even, such a one comes out alike whether the zero
// point is added before or after, if that is even.
func (p *Plan) even(fitted []*Value, byAs map[string]*Value) {
	for _, n := range p.Nodes {
		if v := source(byAs, n.output); n.halves && v != nil && v.eightBits() && slices.Contains(fitted, v) {
			v.Params[0].Zero = evenZero(v.Params[0].Zero, format.Lookup(v.Format))
		}
	}
}

// evenZero moves an odd zero point by one, so that the longer side loses a code.
func evenZero(zero int32, f *format.Format) int32 {
	switch {
	case zero&1 == 0:
		return zero
	case int(zero) < (f.Lo+f.Hi)/2:
		return zero + 1
	}
	return zero - 1
}

// wholeUnits returns the least whole number of units of shortBits that is not below a scale, with odd the
// least odd one, of however many bits, where there is one in reach; the scale itself where that is more
// than a quarter above it.
func wholeUnits(scale float32, unit float64, odd bool) float32 {
	n, most := math.Ceil(float64(scale)/unit), scale*1.25
	if k := n + 1 - math.Mod(n, 2); odd && float32(k*unit) <= most {
		return float32(k * unit)
	}
	frac, exp := math.Frexp(n)
	n = math.Ldexp(math.Ceil(math.Ldexp(frac, shortBits)), exp-shortBits)
	if float32(n*unit) <= most {
		return float32(n * unit)
	}
	return scale
}

// eightBits says whether the codes are whole numbers of eight bits with a free scale.
func (v *Value) eightBits() bool { return v.wholeBits() == 8 }

// wholeBits is how many bits the differences of two codes take, where codes are whole numbers of at most eight bits
// with a free scale; else 0.
func (v *Value) wholeBits() int {
	f := format.Lookup(v.Format)
	if f.Bits > 8 || f.Snap != nil || f.Kind != format.Linear && f.Kind != format.Signs {
		return 0
	}
	return max(2, bits.Len(uint(f.Hi-f.Lo)))
}

// significand is how many bits an exact scale of codes of so many bits has.
func significand(width int) int { return shortBits + 8 - width }

// A pair is the scales of what a weight multiplies and of what comes out.
type pair struct{ in, out float32 }

// neighbours returns for each weight that meets codes of eight bits the pairs of scales around the nodes
// where it does; a node whose result is not in eight bits has no pair. With other operands sums are not
// exact, whatever the weight's scale.
func (p *Plan) neighbours(byAs map[string]*Value) map[string][]pair {
	near := map[string][]pair{}
	for _, n := range p.Nodes {
		if len(n.Inputs) == 0 {
			continue
		}
		in, out := source(byAs, n.Inputs[0]), source(byAs, n.output)
		if in == nil || !in.eightBits() {
			continue
		}
		var around []pair
		if out != nil && out.eightBits() {
			around = []pair{{in.Params[0].Scale, out.Params[0].Scale}}
		}
		for _, as := range n.Inputs {
			if w := byAs[as]; w != nil && w.Role == RoleWeight {
				near[as] = append(near[as], around...)
			}
		}
	}
	return near
}

// source returns the fitted value whose parameters the one of that name has, or nil.
func source(byAs map[string]*Value, as string) *Value {
	v := byAs[as]
	for range len(byAs) {
		if v == nil || v.Like == "" {
			break
		}
		v = byAs[v.Like]
	}
	if v == nil || len(v.Params) != 1 {
		return nil
	}
	return v
}

// shortened returns parameters for codes of so many bits whose scale has a short significand: the largest below
// where that cuts the range by no more than a step, else the smallest above.
func shortened(q format.Params, width int) format.Params {
	n := significand(width)
	frac, exp := math.Frexp(float64(q.Scale))
	grid := math.Ldexp(frac, n)
	down := math.Floor(grid)
	if (grid-down)*(math.Ldexp(1, width)-2) > down {
		down = math.Ceil(grid)
	}
	scale := float32(math.Ldexp(down, exp-n))
	if !(scale >= leastScale) || math.IsInf(float64(scale), 0) {
		return q
	}
	q.Scale = scale
	return q
}

// exactAmong returns the first parameters from q on upwards with which products keep every tie; q itself
// where that would cost half a step more.
func exactAmong(q format.Params, width int, near []pair) format.Params {
	for try := q; float64(try.Scale) <= 1.5*float64(q.Scale); try = above(try, width) {
		ok := true
		for _, n := range near {
			ok = ok && tiesKept(n.in, try.Scale, n.out)
		}
		if ok {
			return try
		}
	}
	return q
}

// above returns the parameters to try next: a hundredth above q, or a unit of the significand where that is more.
func above(q format.Params, width int) format.Params {
	_, exp := math.Frexp(float64(q.Scale))
	unit := float32(math.Ldexp(1, exp-significand(width)))
	return shortened(format.Params{Scale: max(q.Scale*1.01, q.Scale+unit), Zero: q.Zero}, width)
}

// tiesKept says whether float32(acc)·float32(in·w/out) is n+½ for every whole acc for which
// acc·in·w/out is, within the reach of 8-bit codes.
func tiesKept(in, w, out float32) bool {
	m := float32(float64(in) * float64(w) / float64(out))
	x, ex := whole(in)
	y, ey := whole(w)
	z, ez := whole(out)
	a, b, e := x*y, z, ex+ey-ez
	d := gcd(a, b)
	a, b = a/d, b/d
	if e >= 0 || e < -30 { // no tie, or none that 32 bits reach
		return true
	}
	for odd := uint64(1); a*odd <= 2*256; odd += 2 {
		acc := float32(math.Ldexp(float64(b*odd), -e-1))
		if float32(acc*m) != float32(a*odd)/2 {
			return false
		}
	}
	return true
}

// whole writes a positive v as an odd whole number times 2^exp.
func whole(v float32) (odd uint64, exp int) {
	frac, exp := math.Frexp(float64(v))
	odd = uint64(math.Ldexp(frac, 24))
	n := bits.TrailingZeros64(odd)
	return odd >> n, exp - 24 + n
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
