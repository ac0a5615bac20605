//go:build amd64 && !purego

package kernel

// microGroups multiply pairs of int16, by the channels of a group.
var microGroups = map[int]*microSet{
	2: {2: {{4, groups2x4x16}, {2, groups2x2x16}, {1, groups2x1x16}}},
	4: {2: {{4, groups4x4x16}, {2, groups4x2x16}, {1, groups4x1x16}}},
	8: {2: {{4, groups8x4x16}, {2, groups8x2x16}, {1, groups8x1x16}}},
}

// microFours multiply bytes in fours, by the channels of a group.
var microFours = map[int]*microSet{2: &microOne, 4: &microOne, 8: &microTwo}

var (
	microOne = microSet{
		1: {{8, fours1x8x16}, {4, fours1x4x16}, {2, fours1x2x16}, {1, fours1x1x16}},
		4: {{4, fours1x4x64}, {2, fours1x2x64}, {1, fours1x1x64}},
	}
	microTwo = microSet{
		1: {{8, fours2x8x16}, {4, fours2x4x16}, {2, fours2x2x16}, {1, fours2x1x16}},
		4: {{4, fours2x4x64}, {2, fours2x2x64}, {1, fours2x1x64}},
	}
)

// packDiagonal keeps only the weights near the diagonal; nil where the level has no use for that.
func (l Level) packDiagonal(w []int8, n, k, in, out, taps int, o Order) *PackedU8S8 {
	if in != out || n != groupColumns && n != wideColumns {
		return nil
	}
	p := &PackedU8S8{shape: shape{n: n, k: k, taps: taps, per: 4, kd: k / 4}, level: l}
	switch {
	case l.use(VNNI):
		p.lanes, p.set = 16, microFours[in]
	case l.use(AVX2) && !l.use(AVXVNNI) && n == groupColumns:
		p.lanes, p.set = 8, microGroups[in]
	}
	if p.set == nil {
		return nil
	}
	p.sums = columnSums(w, n, k, taps, o)
	p.cut(single(n / p.lanes))
	p.data = aligned[int8](taps * n * max(4, in) * 16 / p.lanes)
	if p.lanes == 16 {
		p.fours(w, in, o)
	} else {
		p.pairs(w, in, o)
	}
	return p
}

// fours writes [tap][vector][dot product][column] four weights, zeros among them where a group has fewer channels.
func (p *PackedU8S8) fours(w []int8, in int, o Order) {
	dots := max(1, in/4)
	for i := range p.taps * dots * p.n {
		tap, dot := i/p.n/dots, i/16%dots
		c := i/16/dots*16%p.n + i%16
		first := c/(4*dots)*4*dots + dot*4 // channel
		for j := range 4 {
			if ch := first + j; ch/in == c/in {
				p.data[i*4+j] = w[c*o.N+ch*o.K+tap*o.Tap]
			}
		}
	}
}

// pairs writes [tap][pair][column] two weights in 16 bits.
func (p *PackedU8S8) pairs(w []int8, in int, o Order) {
	for i := range p.taps * in / 2 * p.n {
		tap, pair, c := i/p.n/(in/2), i/p.n%(in/2), i%p.n
		for j := range 2 {
			v := w[c*o.N+(c/in*in+pair*2+j)*o.K+tap*o.Tap]
			p.data[i*4+j*2], p.data[i*4+j*2+1] = v, v>>7
		}
	}
}
