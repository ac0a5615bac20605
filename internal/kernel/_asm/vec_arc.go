package main

// The functions of package kernel's vec_arc.go, operation by operation.

const (
	halfPiHi = 1.57079637
	halfPiLo = -4.371139e-8
	hugeArc  = 16384
)

var (
	asinPoly  = []float64{0.16666752, 0.07495309, 0.045469306, 0.024183769, 0.04216035}
	atanPoly  = []float64{-0.333333, 0.19998536, -0.14264125, 0.10951637, -0.084019735, 0.057933863, -0.031155346, 0.01090299, -0.0017911041}
	sinhPoly  = []float64{0.16666667, 0.0083333105, 0.00019842894, 2.7822302e-06}
	asinhPoly = []float64{-0.16666643, 0.074986406, -0.044383086, 0.028162718, -0.01322807}
	atanhPoly = []float64{0.333333, 0.20002615, 0.1422076, 0.118415274, 0.05064739, 0.17773885}
)

func (b *body) odd(c []float64, a, z val) val { return b.add(b.mul(b.mul(a, z), b.poly(c, z)), a) }

func (b *body) tan(x val) val {
	t, r := b.quarter(x, halfPiFine)
	s, c := b.sinPart(r), b.cosPart(r)
	turned := b.shift("VPSLLD", 31, t)
	return b.xor(b.div(b.chooseSign(turned, c, s), b.chooseSign(turned, s, c)), turned)
}

// halfArc takes a = |x|.
func (b *body) halfArc(a val) val {
	half := b.mul(b.sub(b.k(1), a), b.k(0.5))
	s := b.choose(lt, b.k(0.5), a, b.sqrt(half), a)
	z := b.choose(lt, b.k(0.5), a, half, b.mul(a, a))
	return b.odd(asinPoly, s, z)
}

func (b *body) asin(x val) val {
	a := b.abs(x)
	v := b.halfArc(a)
	far := b.add(b.sub(b.k(halfPiHi), b.add(v, v)), b.k(halfPiLo))
	return b.copySign(b.choose(lt, b.k(0.5), a, far, v), x)
}

func (b *body) acos(x val) val {
	a := b.abs(x)
	v := b.halfArc(a)
	w := b.choose(lt, b.k(0.5), a, v, b.copySign(v, x))
	t := b.sub(b.k(halfPiHi), b.sub(w, b.k(halfPiLo)))
	y := b.chooseSign(x, t, v)
	return b.choose(lt, b.k(0.5), a, b.add(y, y), t)
}

func (b *body) atan(x val) val {
	a := b.abs(x)
	t := b.choose(lt, b.k(1), a, b.div(b.k(-1), a), a)
	v := b.odd(atanPoly, t, b.mul(t, t))
	far := b.add(b.add(v, b.k(halfPiLo)), b.k(halfPiHi))
	return b.copySign(b.choose(lt, b.k(1), a, far, v), x)
}

func (b *body) expHalves(x val) (up, down val) {
	p, n := b.expReduce(b.atMost(x, b.k(90)))
	up = b.scale(b.add(p, b.k(1)), power{b.sub(n.n, b.k(1)), b.sub(n.t, b.k(1))})
	return up, b.div(b.k(0.25), up)
}

func (b *body) sinh(x val) val {
	a := b.abs(x)
	up, down := b.expHalves(a)
	v := b.choose(lt, a, b.k(1), b.odd(sinhPoly, a, b.mul(a, a)), b.sub(up, down))
	return b.copySign(v, x)
}

func (b *body) cosh(x val) val {
	up, down := b.expHalves(b.abs(x))
	return b.add(up, down)
}

func (b *body) logFrom(u, k val) val {
	f, e := b.logSplit(u)
	return b.choose(le, u, b.k(maxFloat), b.logParts(f, b.add(e, k)), u)
}

func (b *body) asinh(x val) val {
	a := b.abs(x)
	z := b.mul(a, a)
	near := b.odd(asinhPoly, a, z)
	u := b.choose(lt, b.k(hugeArc), a, a, b.add(b.sqrt(b.add(z, b.k(1))), a))
	k := b.choose(lt, b.k(hugeArc), a, b.k(1), b.k(0))
	return b.copySign(b.choose(lt, a, b.k(0.5), near, b.logFrom(u, k)), x)
}

func (b *body) acosh(x val) val {
	t := b.sub(x, b.k(1))
	f := b.add(b.sqrt(b.mul(t, b.add(t, b.k(2)))), t)
	near := b.logParts(f, b.k(0))
	u := b.choose(lt, b.k(hugeArc), x, x, b.add(f, b.k(1)))
	k := b.choose(lt, b.k(hugeArc), x, b.k(1), b.k(0))
	v := b.choose(lt, f, b.k(0.414213562373), near, b.logFrom(u, k))
	return b.choose(lt, x, b.k(1), b.bits(0x7fc00000), v)
}

func (b *body) atanh(x val) val {
	a := b.abs(x)
	far := b.mul(b.log(b.div(b.add(a, b.k(1)), b.sub(b.k(1), a))), b.k(0.5))
	return b.copySign(b.choose(lt, a, b.k(0.5), b.odd(atanhPoly, a, b.mul(a, a)), far), x)
}
