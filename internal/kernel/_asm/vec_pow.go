package main

import "math"

// The functions of package kernel's vec_pow.go, operation by operation.

const magic64 = 3 << 51

var (
	log2Poly = []float64{2.88539008177785, 0.9617966941134005, 0.5770779423468428, 0.41220925432246486, 0.3199056120068346, 0.28290144493216884}
	exp2Poly = []float64{1.0000000005542222, 0.6931472057371089, 0.24022646890405355, 0.05550328777509786, 0.009618488985280236, 0.0013399931049639334, 0.00015345804192248}
)

func (b *body) pow(x, y val) val {
	a := b.abs(x)
	tiny := b.k(1.17549435082e-38)
	f, k := b.logSplit(b.choose(lt, a, tiny, b.mul(a, b.k(1<<23)), a))
	k = b.add(k, b.choose(lt, a, tiny, b.k(-23), b.k(0)))
	k = b.choose(eq, a, b.k(0), b.bits(0xff800000), k)
	k = b.choose(le, a, b.k(maxFloat), k, a)
	var parts [2]val
	for h := range parts {
		parts[h] = b.powParts(b.widen(f, h), b.widen(k, h), b.widen(y, h))
	}
	p := b.halves(parts[0], parts[1])
	p = b.choose(eq, a, b.k(1), b.k(1), p)
	p = b.choose(eq, y, b.k(0), b.k(1), p)
	return b.powSign(p, x, y)
}

func (b *body) powParts(f, k, y val) val {
	s := b.simple("VDIVPD", false, f, b.add64(f, b.double(2)))
	t := b.mul64(b.add64(b.mul64(s, b.poly64(log2Poly, b.mul64(s, s))), k), y)
	t = b.simple("VMAXPD", false, b.double(-160), t)
	t = b.simple("VMINPD", false, b.double(160), t)
	n := b.add64(t, b.double(magic64))
	p := b.poly64(exp2Poly, b.sub64(t, b.sub64(n, b.double(magic64))))
	// What the addend has above 32 bits is shifted out; it tells that the constant is of 64.
	power := b.shift("VPSLLQ", 52, b.simple("VPADDQ", true, n, b.constant(1023<<32|1023)))
	return b.mul64(p, power)
}

func (b *body) powSign(p, x, y val) val {
	half := b.mul(y, b.k(0.5))
	sign := b.choose(eq, b.round(1, half), half, b.k(0), b.and(x, b.bits(signBit)))
	none := b.choose(lt, x, b.k(0), b.bits(0x7fc00000), p)
	none = b.choose(lt, x, b.k(-math.MaxFloat32), p, none)
	return b.choose(eq, b.round(1, y), y, b.xor(p, sign), none)
}

func (b *body) poly64(c []float64, x val) val {
	y := b.double(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		y = b.add64(b.mul64(y, x), b.double(c[i]))
	}
	return y
}

func (b *body) add64(x, y val) val { return b.simple("VADDPD", true, x, y) }
func (b *body) sub64(x, y val) val { return b.simple("VSUBPD", false, x, y) }
func (b *body) mul64(x, y val) val { return b.simple("VMULPD", true, x, y) }

// lower is the lower half of a register, and the instruction that reads the upper one.
func (b *body) lower(r string) (half, extract, insert, narrow string) {
	if b.wide() {
		return "Y" + r[1:], "VEXTRACTF64X4", "VINSERTF64X4", "VCVTPD2PS"
	}
	return "X" + r[1:], "VEXTRACTF128", "VINSERTF128", "VCVTPD2PSY"
}

// widen is half a vector of float32 as float64.
func (b *body) widen(x val, half int) val {
	return b.emit(op{args: []val{x}, needReg: []bool{true}, write: func(f *file, _ place, d string, a, _ []string) {
		from, extract, _, _ := b.lower(a[0])
		if half > 0 {
			from, _, _, _ = b.lower(d)
			f.p("%s $1, %s, %s", extract, a[0], from)
		}
		f.p("VCVTPS2PD %s, %s", from, d)
	}})
}

// halves is two vectors of float64 as one of float32.
func (b *body) halves(lo, hi val) val {
	return b.emit(op{args: []val{lo, hi}, needReg: []bool{true, true}, temps: 1, write: func(f *file, _ place, d string, a, t []string) {
		low, _, insert, narrow := b.lower(d)
		high, _, _, _ := b.lower(t[0])
		f.p("%s %s, %s", narrow, a[0], low)
		f.p("%s %s, %s", narrow, a[1], high)
		f.p("%s $1, %s, %s, %s", insert, high, d, d)
	}})
}
