package kernel

// PackedBF16 is a bfloat16 weight, arranged for the tiles of AMX where a level
// has them, else for plain Go. It is read-only and may be shared.
type PackedBF16 struct {
	shape
	level Level
	data  []uint16
	zeros []uint16 // a row of padding
}

// TilesBF16 says whether products of bfloat16 run on tiles under this level.
// Elsewhere those of float32 are faster.
func (l Level) TilesBF16() bool { return l.use(AMX) && tilesBF16 }

// PackBF16 arranges the weight w(n, tap, k), bits of bfloat16, for products
// with bfloat16 activations. Products are exact, their sums those of float32. An
// operand that is subnormal counts as zero, and so does a sum, or a bias that a sum starts at, on
// every level: TDPBF16PS knows no others (Intel SDM, volume 2, TDPBF16PS).
func (l Level) PackBF16(w []uint16, n, k, taps int, o Order) *PackedBF16 {
	p := &PackedBF16{shape: shape{n: n, k: k, taps: taps}, level: l, zeros: make([]uint16, k+32)}
	if k > 0 && l.TilesBF16() {
		p.pack(w, o)
		return p
	}
	p.lanes, p.kd, p.per = genericLanes, k, 1
	p.data = make([]uint16, p.cut(single(1)))
	packPanels(p.data, w, &p.shape, o)
	return p
}

// Gemm multiplies: row i of the output is a[i*lda:][:K] times the weight,
// which has one tap.
func (p *PackedBF16) Gemm(a []uint16, lda int, out *OutF32, r Range) {
	p.run(rows[uint16]{x: a, lda: lda, k: p.k, taps: 1}, out, r)
}

// Conv convolves one image x: row i of the output is the pixel i of ix.
// Padding reads as zero.
func (p *PackedBF16) Conv(x []uint16, ix *Indirect, out *OutF32, r Range) {
	p.run(rows[uint16]{x: x, ix: ix, k: p.k, taps: p.taps, pad: p.zeros}, out, r)
}

func (p *PackedBF16) run(a rows[uint16], out *OutF32, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	a.check(r.M1)
	out.check(p.n, r.M1)
	if p.steps == 0 || !p.runFast(&a, out, r) {
		p.runGeneric(a, out, r)
	}
}

// runGeneric is the meaning of Gemm and Conv: each sum starts at the bias and
// runs over taps, then k, in ascending order.
func (p *PackedBF16) runGeneric(a rows[uint16], out *OutF32, r Range) {
	for _, pn := range p.panels[r.P0:r.P1] {
		for i := r.M0; i < r.M1; i++ {
			var acc [genericLanes]float32
			if out.Bias != nil {
				copy(acc[:], out.Bias[pn.n0:pn.n1])
			}
			w := p.data[pn.off:]
			for tap := range p.taps {
				for _, v := range a.row(i, tap) {
					x := noSubnormal(decodeBF16(v))
					for j, b := range (*[genericLanes]uint16)(w) {
						acc[j] = noSubnormal(acc[j] + float32(x*noSubnormal(decodeBF16(b))))
					}
					w = w[genericLanes:]
				}
			}
			out.store(acc[:pn.n1-pn.n0], i, pn.n0)
		}
	}
}

// noSubnormal is x, or 0 where that is subnormal.
func noSubnormal(x float32) float32 {
	if x > -leastNormal && x < leastNormal {
		return 0
	}
	return x
}

const leastNormal = 0x1p-126
