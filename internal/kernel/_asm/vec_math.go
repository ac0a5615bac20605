package main

import (
	"math"
	"strconv"
)

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
	expPoly = []float64{0.5, 0.16666518, 0.041666206, 0.008368953, 0.0013950602}
	logPoly = []float64{0.3333333, -0.2500082, 0.20001227, -0.16623357, 0.14201757, -0.13160183, 0.12761576, -0.07634497}
)

var erfTable = [...][16]float32{
	{
		0.0, 0.2763264, 0.5204999, 0.71115565, 0.8427008, 0.92290014, 0.96610516, 0.9866717,
		0.9953223, 0.9985373, 0.999593, 0.9998994, 0.9999779, 0.9999957, 0.9999993, 0.9999999,
	},
	{
		1.1283791, 1.0600128, 0.8787813, 0.6429307, 0.415108, 0.23652187, 0.11893079, 0.052775145,
		0.020666927, 0.0071422127, 0.0021782063, 0.0005862372, 0.000139237, 2.918378e-05, 5.3979984e-06, 8.8110323e-07,
	},
	{
		6.9993785e-06, -0.26493642, -0.43932846, -0.4821796, -0.4151301, -0.2956864, -0.17841922, -0.092363596,
		-0.04133141, -0.016065257, -0.0054420205, -0.0016103532, -0.00041698955, -9.4611576e-05, -1.8828803e-05, -3.2893647e-06,
	},
	{
		-0.37633228, -0.31037128, -0.147584, 0.026437027, 0.13874117, 0.1681363, 0.13916808, 0.09029092,
		0.048182685, 0.021639898, 0.008286058, 0.002726931, 0.00077550876, 0.00019131586, 4.1057727e-05, 7.681614e-06,
	},
	{
		0.0020243837, 0.13649401, 0.19210719, 0.15376708, 0.06650193, -0.010807472, -0.047920812, -0.049230423,
		-0.03417608, -0.018431647, -0.008116368, -0.00298965, -0.00093404186, -0.00024970755, -5.7469064e-05, -1.1435457e-05,
	},
	{
		0.105946824, 0.04627624, -0.026580792, -0.066581786, -0.06106705, -0.030680588, -0.0023366292, 0.011307714,
		0.012437112, 0.008361112, 0.004239076, 0.0017297728, 0.00058530853, 0.00016698266, 4.058446e-05, 8.4623625e-06,
	},
}

// tables declares the tables that bodies look up.
func (f *file) tables() {
	for d, t := range erfTable {
		var w [8]uint64
		for i, x := range t {
			w[i/2] |= uint64(math.Float32bits(x)) << (i % 2 * 32)
		}
		f.words("erf"+strconv.Itoa(d), w[:]...)
	}
}

const twoOverPi = 0.63661977236758

var (
	halfPi     = []float64{1.5703125, 4.837512969970703e-4, 7.549790126404332e-8}
	halfPiFine = []float64{1.5703125, 4.837512969970703e-4, 7.543712854385376e-8, 6.07710062827671e-11}
	sinPoly    = []float64{-0.16666655, 0.008332178, -0.00019517266}
	cosPoly    = []float64{0.041666646, -0.0013887368, 2.4438415e-05}
)

func (b *body) sin(x val) val { return b.quarters(x, 0) }
func (b *body) cos(x val) val { return b.quarters(x, 1) }

func (b *body) quarters(x val, turn uint32) val {
	t, r := b.quarter(x, halfPi)
	s, c := b.sinPart(r), b.cosPart(r)
	q := t
	if turn > 0 {
		q = b.addInt(t, b.bits(turn))
	}
	odd := b.shift("VPSRAD", 31, b.shift("VPSLLD", 31, q))
	v := b.xor(s, b.and(odd, b.xor(s, c)))
	return b.xor(v, b.and(b.shift("VPSLLD", 30, q), b.bits(signBit)))
}

func (b *body) quarter(x val, parts []float64) (t, r val) {
	t = b.add(b.mul(x, b.k(twoOverPi)), b.k(magic))
	k := b.sub(t, b.k(magic))
	r = x
	for _, p := range parts {
		r = b.sub(r, b.mul(k, b.k(p)))
	}
	return t, r
}

func (b *body) sinPart(r val) val { return b.odd(sinPoly, r, b.mul(r, r)) }

func (b *body) cosPart(r val) val {
	z := b.mul(r, r)
	return b.add(b.sub(b.k(1), b.mul(z, b.k(0.5))), b.mul(b.mul(z, z), b.poly(cosPoly, z)))
}

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
	p, n := b.expReduce(b.atMost(x, b.k(89)))
	return b.scaleUnlessLess(x, b.k(-87.33), b.add(p, b.k(1)), n)
}

// expNaN is expBelow that keeps NaN.
func (b *body) expNaN(x val) val {
	if !b.wide() {
		return b.orNaN(b.expBelow(x), x)
	}
	p, n := b.expReduce(x)
	return b.scaleUnlessLess(x, b.k(-87.33), b.add(p, b.k(1)), n)
}

// scaleUnlessLess is (x < y) ? 0 : u·2ⁿ, NaN where x is, and normal or infinite: for n ≤ 128 and u from √½ to √2.
// AVX2 adds n to the exponent, which is that of an infinity where it is too large.
func (b *body) scaleUnlessLess(x, y, u val, n power) val {
	if !b.wide() {
		v := b.addIntUnlessLess(x, y, u, b.shift("VPSLLD", 23, n.t))
		return b.orNaN(b.minInt(v, b.bits(0x7f800000)), x)
	}
	return b.emit(op{args: []val{x, y, u, n.n}, needReg: []bool{true, false, true, true}, write: func(f *file, at place, d string, a, _ []string) {
		f.p("VCMPPS%s $%d, %s, %s, %s", b.broadcast(a[1]), nlt, a[1], a[0], at.cmpK())
		f.p("VSCALEFPS.Z %s, %s, %s, %s", a[3], a[2], at.cmpK(), d)
	}})
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

func (b *body) logSplit(v val) (f, k val) {
	e := b.shift("VPSRAD", 23, b.subInt(v, b.bits(sqrtHalfI)))
	return b.sub(b.subInt(v, b.shift("VPSLLD", 23, e)), b.k(1)), b.toFloat(e)
}

func (b *body) log(x val) val {
	tiny := b.k(1.17549435082e-38)
	v := b.choose(lt, x, tiny, b.mul(x, b.k(1<<23)), x)
	k0 := b.choose(lt, x, tiny, b.k(-23), b.k(0))
	f, k := b.logSplit(v)
	y := b.logParts(f, b.add(k, k0))
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
	a := b.atMost(b.abs(x), b.k(3.9999998))
	k := b.one("VCVTTPS2DQ", b.mul(a, b.k(4)))
	t := b.sub(a, b.mul(b.toFloat(k), b.k(0.25)))
	upper := b.upper(k)
	y := b.lookup("erf5", k, upper)
	for d := 4; d >= 0; d-- {
		y = b.add(b.mul(y, t), b.lookup("erf"+strconv.Itoa(d), k, upper))
	}
	return b.copySign(y, x)
}

// expBelow is eˣ for x ≤ 0 and some number for NaN. The result is normal or 0, so whole powers of two go
// into its exponent; t<<23 is n<<23, for magic ends in zeros.
func (b *body) expBelow(x val) val {
	p, n := b.expReduce(x)
	return b.addIntUnlessLess(x, b.k(-87.33), b.add(p, b.k(1)), b.shift("VPSLLD", 23, n.t))
}

// gate is sigmoid but for NaN, of which it makes some number.
func (b *body) gate(x val) val {
	e := b.expBelow(b.or(x, b.bits(signBit)))
	return b.div(b.chooseSign(x, e, b.k(1)), b.add(e, b.k(1)))
}

func (b *body) sigmoid(x val) val { return b.orNaN(b.gate(x), x) }

func (b *body) gelu(x val) val {
	x = b.atLeast(x, b.k(-20))
	return b.mul(b.mul(x, b.k(0.5)), b.add(b.erf(b.mul(x, b.k(0.70710678119))), b.k(1)))
}

func (b *body) geluTanh(x val) val {
	x = b.atLeast(x, b.k(-20))
	u := b.mul(x, b.add(b.mul(b.mul(x, x), b.k(0.0356774081363)), b.k(0.797884560803)))
	return b.mul(b.mul(x, b.k(0.5)), b.add(b.tanh(u), b.k(1)))
}

func (b *body) silu(x val) val { return b.mul(b.atLeast(x, b.k(-150)), b.gate(x)) }

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

func (b *body) celu(x, p, q val) val {
	return b.choose(lt, b.k(0), x, x, b.mul(p, b.expm1(b.atLeast(b.mul(x, q), b.k(-20)))))
}

func (b *body) shrink(x, p, q val) val {
	y := b.choose(lt, q, x, b.sub(x, p), b.k(0))
	return b.choose(lt, x, b.neg(q), b.add(x, p), y)
}

func (b *body) hardSigmoid(x, p, q val) val {
	return b.clamp(b.add(b.mul(x, p), q), b.k(0), b.k(1))
}

// nanMax and nanMin propagate NaN: x > y || x is NaN ? x : y.
func (b *body) nanMax(x, y val) val { return b.choose(unord, x, x, x, b.more(x, y)) }
func (b *body) nanMin(x, y val) val { return b.choose(unord, x, x, x, b.less(x, y)) }
