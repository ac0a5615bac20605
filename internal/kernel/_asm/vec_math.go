package main

import "math"

// The functions of package kernel's vec_math.go, operation by operation.

const (
	signBit   = 1 << 31
	magic     = 12582912
	log2e     = 1.44269504089
	ln2Hi     = 0.693359375
	ln2Lo     = -2.12194440055e-4
	sqrtHalfI = 0x3f3504f3
	maxFloat  = math.MaxFloat32
)

var (
	expPoly  = []float64{0.5, 0.16666518, 0.041666206, 0.008368953, 0.0013950602}
	logPoly  = []float64{0.3333333, -0.2500082, 0.20001227, -0.16623357, 0.14201757, -0.13160183, 0.12761576, -0.07634497}
	erfPoly  = []float64{0.12837915, -0.37612525, 0.11282141, -0.026778908, 0.0050119627, -0.000609036}
	erfcPoly = []float64{-0.0018776512, -1.1201907, -0.65075535, -0.091109134, 0.015579036, -0.0012515606}
)

func (b *body) poly(c []float64, x val) val {
	y := b.k(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		y = b.add(b.mul(y, x), b.k(c[i]))
	}
	return y
}

func (b *body) abs(x val) val { return b.and(x, b.bits(^uint32(signBit))) }
func (b *body) neg(x val) val { return b.xor(x, b.bits(signBit)) }

// atLeast and atMost keep NaN.
func (b *body) atLeast(x, lo val) val   { return b.more(lo, x) }
func (b *body) atMost(x, hi val) val    { return b.less(hi, x) }
func (b *body) clamp(x, lo, hi val) val { return b.atMost(b.atLeast(x, lo), hi) }
func (b *body) relu(x val) val          { return b.atLeast(x, b.k(0)) }

func (b *body) copySign(x, sign val) val {
	return b.or(x, b.and(sign, b.bits(signBit)))
}

// power is 2ⁿ kept as the whole number n as a float and as x+magic.
type power struct{ n, t val }

func (b *body) expReduce(x val) (p val, n power) {
	t := b.add(b.mul(x, b.k(log2e)), b.k(magic))
	k := b.sub(t, b.k(magic))
	r := b.sub(x, b.mul(k, b.k(ln2Hi)))
	r = b.sub(r, b.mul(k, b.k(ln2Lo)))
	p = b.add(b.mul(b.mul(r, r), b.poly(expPoly, r)), r)
	return p, power{k, t}
}

// integer is n as an integer, plus bias.
func (b *body) integer(n power, bias int) val {
	return b.subInt(n.t, b.bits(math.Float32bits(magic)-uint32(bias)))
}

// pow2 is 2ⁿ for an n that stays in the normal range.
func (b *body) pow2(n power) val { return b.shift("VPSLLD", 23, b.integer(n, 127)) }

// scale is x·2ⁿ rounded once. AVX2 multiplies by the halves of the power.
func (b *body) scale(x val, n power) val {
	if b.wide() {
		return b.simple("VSCALEFPS", false, x, n.n)
	}
	k := b.integer(n, 0)
	h := b.shift("VPSRAD", 1, k)
	one := b.bits(127)
	x = b.mul(x, b.shift("VPSLLD", 23, b.addInt(h, one)))
	return b.mul(x, b.shift("VPSLLD", 23, b.addInt(b.subInt(k, h), one)))
}

func (b *body) exp(x val) val {
	p, n := b.expReduce(b.clamp(x, b.k(-105), b.k(89)))
	return b.scale(b.add(p, b.k(1)), n)
}

func (b *body) expm1(x val) val {
	p, n := b.expReduce(x)
	s := b.pow2(n)
	return b.add(b.mul(s, p), b.sub(s, b.k(1)))
}

func (b *body) logParts(f, k val) val {
	z := b.mul(f, f)
	y := b.add(b.mul(b.mul(f, z), b.poly(logPoly, f)), b.mul(k, b.k(ln2Lo)))
	y = b.sub(y, b.mul(z, b.k(0.5)))
	return b.add(b.add(y, f), b.mul(k, b.k(ln2Hi)))
}

func (b *body) log(x val) val {
	tiny := b.k(1.17549435082e-38)
	v := b.choose(lt, x, tiny, b.mul(x, b.k(1<<23)), x)
	k0 := b.choose(lt, x, tiny, b.k(-23), b.k(0))
	k := b.shift("VPSRAD", 23, b.subInt(v, b.bits(sqrtHalfI)))
	f := b.sub(b.subInt(v, b.shift("VPSLLD", 23, k)), b.k(1))
	y := b.logParts(f, b.add(b.toFloat(k), k0))
	y = b.choose(lt, x, b.k(0), b.bits(0x7fc00000), y)
	y = b.choose(eq, x, b.k(0), b.bits(0xff800000), y)
	return b.choose(le, x, b.k(maxFloat), y, x)
}

func (b *body) tanh(x val) val {
	a := b.atMost(b.abs(x), b.k(10))
	t := b.expm1(b.add(a, a))
	return b.copySign(b.div(t, b.add(t, b.k(2))), x)
}

func (b *body) erf(x val) val {
	a := b.atMost(b.abs(x), b.k(3.95))
	small := b.add(b.mul(a, b.poly(erfPoly, b.mul(a, a))), a)
	p, n := b.expReduce(b.poly(erfcPoly, a))
	large := b.sub(b.k(1), b.mul(b.add(p, b.k(1)), b.pow2(n)))
	return b.copySign(b.choose(lt, a, b.k(0.9), small, large), x)
}

func (b *body) sigmoid(x val) val {
	e := b.exp(b.or(x, b.bits(signBit)))
	return b.div(b.chooseSign(x, e, b.k(1)), b.add(e, b.k(1)))
}

func (b *body) gelu(x val) val {
	x = b.atLeast(x, b.k(-20))
	return b.mul(b.mul(x, b.k(0.5)), b.add(b.erf(b.mul(x, b.k(0.70710678119))), b.k(1)))
}

func (b *body) geluTanh(x val) val {
	x = b.atLeast(x, b.k(-20))
	u := b.mul(x, b.add(b.mul(b.mul(x, x), b.k(0.0356774081363)), b.k(0.797884560803)))
	return b.mul(b.mul(x, b.k(0.5)), b.add(b.tanh(u), b.k(1)))
}

func (b *body) silu(x val) val { return b.mul(b.atLeast(x, b.k(-150)), b.sigmoid(x)) }

func (b *body) hardSwish(x val) val {
	g := b.clamp(b.add(b.mul(x, b.k(1.0/6)), b.k(0.5)), b.k(0), b.k(1))
	return b.mul(b.atLeast(x, b.k(-3)), g)
}

func (b *body) softplus(x val) val {
	e := b.exp(b.or(x, b.bits(signBit)))
	split := b.k(0.414213562373)
	f := b.choose(lt, e, split, e, b.mul(b.sub(e, b.k(1)), b.k(0.5)))
	k := b.choose(lt, e, split, b.k(0), b.k(1))
	return b.add(b.relu(x), b.logParts(f, k))
}

func (b *body) softsign(x val) val {
	x = b.clamp(x, b.k(-maxFloat), b.k(maxFloat))
	return b.div(x, b.add(b.abs(x), b.k(1)))
}

func (b *body) mish(x val) val {
	x = b.atLeast(x, b.k(-150))
	w := b.exp(b.clamp(x, b.k(-150), b.k(20)))
	n := b.mul(w, b.add(w, b.k(2)))
	return b.mul(x, b.div(n, b.add(n, b.k(2))))
}

func (b *body) elu(x, p, q val) val {
	low := b.mul(p, b.expm1(b.atLeast(x, b.k(-20))))
	return b.choose(lt, b.k(0), x, b.mul(q, x), low)
}

func (b *body) hardSigmoid(x, p, q val) val {
	return b.clamp(b.add(b.mul(x, p), q), b.k(0), b.k(1))
}

// nanMax and nanMin propagate NaN: x > y || x is NaN ? x : y.
func (b *body) nanMax(x, y val) val { return b.choose(unord, x, x, x, b.more(x, y)) }
func (b *body) nanMin(x, y val) val { return b.choose(unord, x, x, x, b.less(x, y)) }
