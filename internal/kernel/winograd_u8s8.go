package kernel

import "slices"

// WinogradU8S8 is an int8 weight of a 3×3 convolution with steps of one, in Winograd's form F(4×4, 3×3): each
// tile of 4×4 outputs takes 36 products of channels instead of 144 (Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, 2015, section 4.3). It is read-only and may be shared.
//
// All of it is integers. The matrices of the paper are taken times the least numbers that make them
// whole; then what comes out is 576 = 9·64 times the convolution, and as sums are exact modulo 2³²,
//
//	int32(out · 9⁻¹) >> 6
//
// is the convolution itself wherever that fits 26 bits, which [Level.PackWinogradU8S8] makes sure of.
// Results are those of [PackedU8S8].
type WinogradU8S8 struct {
	shape // its taps are the 36 positions of a tile
	level Level
	data  []int16 // [panel][position][k/2][column][2]
	words []int16 // [panel][position][k/2][column/2][2], in place of data, where all of it fits bytes and the level reads these
	sums  []int32
	fast  bool
}

const (
	winogradSide  = 4                // outputs of a tile, down and across
	winogradReach = winogradSide + 2 // pixels that it needs
	winogradArea  = winogradReach * winogradReach
	sumBound      = 1 << 25 // of the magnitude of a sum
	inverse9      = 954437177
)

// PackWinogradU8S8 arranges the weight w(n, tap, k) of nine taps for codes up to most. It returns nil where
// a sum of products could need more bits than come out.
func (l Level) PackWinogradU8S8(w []int8, n, k int, o Order, most uint8) *WinogradU8S8 {
	p := &WinogradU8S8{shape: shape{n: n, k: k, taps: winogradArea, per: 2, kd: (k + 1) / 2}, level: l}
	w, o = byTaps(l, w, &shape{n: n, k: k, taps: 9}, o)
	for j := range n {
		above, below := 0, 0
		for tap := range 9 {
			for _, c := range w[j*o.N+tap*o.Tap:][:k] {
				v := int(c)
				above, below = above+max(v, 0), below+min(v, 0)
			}
		}
		if max(above, -below)*int(most) >= sumBound {
			return nil
		}
		p.sums = append(p.sums, int32(above+below))
	}
	size := p.cut(p.setLanes())
	if p.fast && !p.level.DotsBytes() && !slices.ContainsFunc(w, func(v int8) bool { return v < -2 || v > 2 }) {
		p.words = aligned[int16](size / 2)
	} else {
		p.data = aligned[int16](size)
	}
	p.pack(w, o)
	return p
}

// pack transforms and arranges the weight. The k of each tap lie side by side.
func (p *WinogradU8S8) pack(w []int8, o Order) {
	size := winogradArea * 2 * p.kd
	var u []int16 // [column][position][k], with a zero behind the last of an odd number of k
	for _, pn := range p.panels {
		n, columns := pn.n1-pn.n0, pn.nv*p.lanes
		u = grow(u, n*size)
		for j := range n {
			column := u[j*size:][:size]
			if taps := w[(pn.n0+j)*o.N:]; p.fast {
				p.filterFast(column, taps, o.Tap)
			} else {
				p.filter(column, taps, o.Tap)
			}
			if p.words != nil {
				p.join(p.words[pn.off/2:], column, j, columns/2)
			}
		}
		if p.words == nil {
			for q := range winogradArea {
				TransposePitch(p.level, dwords(p.data[pn.off+q*p.kd*columns*2:], 2), dwords(u[q*2*p.kd:], 2), n, p.kd, columns, size/2)
			}
		}
	}
}

// filter transforms a column to [position][k]: G·g·Gᵀ of each 3×3 taps, at most 49·128.
func (p *WinogradU8S8) filter(u []int16, w []int8, tap int) {
	for i := range p.k {
		var lines [3][winogradReach]int16 // of each row of taps
		for y := range lines {
			g := w[3*y*tap+i:]
			lines[y] = tapsAcross(int16(g[0]), int16(g[tap]), int16(g[2*tap]))
		}
		for x := range winogradReach {
			for y, v := range tapsAcross(lines[0][x], lines[1][x], lines[2][x]) {
				u[(y*winogradReach+x)*2*p.kd+i] = v
			}
		}
	}
}

// tapsAcross is G·g, without the factors 1/4, −1/6, −1/6, 1/24, 1/24 and 1 of its rows.
func tapsAcross(a, b, c int16) [winogradReach]int16 {
	return [winogradReach]int16{a, a + b + c, a - b + c, a + 2*b + 4*c, a - 2*b + 4*c, c}
}

// join writes column j of a panel whose numbers are within eight bits, as those of weights of at most two are: a word is
// that of a column plus 256 times that of the column half a panel further, so that half as much is read for each product.
func (p *WinogradU8S8) join(words, u []int16, j, half int) {
	factor := int16(1)
	if j >= half {
		factor = 256
	}
	for i, v := range u {
		q, k := i/(2*p.kd), i%(2*p.kd)
		words[((q*p.kd+k/2)*half+j%half)*2+k%2] += factor * v
	}
}

// TilesU8S8 lists for every tile of 4×4 outputs where the 6×6 pixels that it needs begin. It depends on the
// geometry alone and may be shared.
type TilesU8S8 struct {
	Rows, Cols int     // of tiles
	oh, ow     int     // outputs
	off        []int32 // [Rows][Cols][36]; −1: padding
	span       int
}

// Pixels is the number of outputs before a row of tiles.
func (t *TilesU8S8) Pixels(row int) int { return min(row*winogradSide, t.oh) * t.ow }

// TilesU8S8 computes the offsets, for a window of 3×3 with steps of one.
func (w Window) TilesU8S8() *TilesU8S8 {
	t := &TilesU8S8{Rows: (w.OH + winogradSide - 1) / winogradSide, Cols: (w.OW + winogradSide - 1) / winogradSide, oh: w.OH, ow: w.OW}
	for ty := range t.Rows {
		for tx := range t.Cols {
			for i := range winogradArea {
				y, x := ty*winogradSide+i/winogradReach-w.Top, tx*winogradSide+i%winogradReach-w.Left
				at := -1
				if y >= 0 && y < w.H && x >= 0 && x < w.W {
					at = (y*w.W + x) * w.Pitch
				}
				t.off, t.span = append(t.off, int32(at)), max(t.span, at)
			}
		}
	}
	return t
}

// Where Winograd's form pays: so many channels on either side; and where the direct form has an instruction for bytes, so
// many pairs of them, beside which the transforms weigh little, and so many tiles to share the reading of weights, of which
// there are eight times the bytes, but no more than so many.
const (
	winogradChannels     = 32
	winogradChannelPairs = 48 * 48
	winogradShare        = 12
	winogradWeightBytes  = 20 << 20
)

// WinogradPaysU8S8 says whether a convolution of k to n channels is faster in Winograd's form.
func (l Level) WinogradPaysU8S8(n, k int, w Window) bool {
	if !w.winograd() || !l.fastWinogradU8S8(k) || min(n, k) < winogradChannels {
		return false
	}
	t := (w.OH + winogradSide - 1) / winogradSide * ((w.OW + winogradSide - 1) / winogradSide)
	if l.DotsBytes() && (n*k < winogradChannelPairs || t < winogradShare || 2*winogradArea*n*k > winogradWeightBytes) {
		return false
	}
	return t*winogradSide*winogradSide <= 2*w.OH*w.OW
}

// ColumnSums is [PackedU8S8.ColumnSums].
func (p *WinogradU8S8) ColumnSums() []int32 { return p.sums }

// Conv is [PackedU8S8.Conv], where the rows of a range are rows of tiles.
func (p *WinogradU8S8) Conv(x []uint8, pad uint8, t *TilesU8S8, out *OutU8S8, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	if r.M1 > t.Rows || len(x) < t.span+p.k {
		panic("kernel: input is too short")
	}
	out.check(p.n, t.Pixels(r.M1))
	if p.fast {
		p.runFast(x, pad, t, out, r)
		return
	}
	p.runGeneric(x, pad, t, out, r)
}

// runGeneric is the meaning of Conv.
func (p *WinogradU8S8) runGeneric(x []uint8, pad uint8, t *TilesU8S8, out *OutU8S8, r Range) {
	v := make([][winogradArea]int16, p.k)
	for i := r.M0 * t.Cols; i < r.M1*t.Cols; i++ {
		for c := range v {
			var d [winogradArea]int16
			for q, o := range t.off[i*winogradArea:][:winogradArea] {
				if d[q] = int16(pad); o >= 0 {
					d[q] = int16(x[int(o)+c])
				}
			}
			v[c] = tileOf(d)
		}
		for _, pn := range p.panels[r.P0:r.P1] {
			for j := range pn.n1 - pn.n0 {
				var m [winogradArea]int32
				for q := range m {
					for c := range v {
						m[q] += int32(v[c][q]) * int32(p.data[pn.off+((q*p.kd+c/2)*genericLanes+j)*2+c%2])
					}
				}
				p.storeTile(outputsOf(m), t, out, i, pn.n0+j)
			}
		}
	}
}

// storeTile finishes the sums of column j in tile i.
func (p *WinogradU8S8) storeTile(sums [winogradSide * winogradSide]int32, t *TilesU8S8, out *OutU8S8, i, j int) {
	for q, s := range sums {
		y, x := i/t.Cols*winogradSide+q/winogradSide, i%t.Cols*winogradSide+q%winogradSide
		if out.Bias != nil {
			s += out.Bias[j]
		}
		if y < t.oh && x < t.ow {
			out.store([]int32{s}, y*t.ow+x, j)
		}
	}
}

// tileOf transforms 6×6 pixels: Bᵀ·d·B, at most 68·255.
func tileOf(d [winogradArea]int16) [winogradArea]int16 {
	return twice(twice(d, pixelsAcross), pixelsAcross)
}

// outputsOf transforms 6×6 sums to 4×4 sums of the convolution.
func outputsOf(m [winogradArea]int32) (y [winogradSide * winogradSide]int32) {
	var half [winogradSide][winogradReach]int32
	for x := range winogradReach {
		var column [winogradReach]int32
		for i := range column {
			column[i] = m[i*winogradReach+x]
		}
		for i, v := range sumsAcross(column) {
			half[i][x] = v
		}
	}
	for i, row := range half {
		for x, v := range sumsAcross(row) {
			y[i*winogradSide+x] = v * inverse9 >> 6
		}
	}
	return y
}

// twice applies f to each column, and lays the results out as rows.
func twice(d [winogradArea]int16, f func([winogradReach]int16) [winogradReach]int16) (t [winogradArea]int16) {
	for x := range winogradReach {
		var column [winogradReach]int16
		for i := range column {
			column[i] = d[i*winogradReach+x]
		}
		for i, v := range f(column) {
			t[x*winogradReach+i] = v
		}
	}
	return t
}

// pixelsAcross is Bᵀ·d.
func pixelsAcross(d [winogradReach]int16) [winogradReach]int16 {
	return [winogradReach]int16{
		4*d[0] - 5*d[2] + d[4],
		-4*d[1] - 4*d[2] + d[3] + d[4],
		4*d[1] - 4*d[2] - d[3] + d[4],
		-2*d[1] - d[2] + 2*d[3] + d[4],
		2*d[1] - d[2] - 2*d[3] + d[4],
		4*d[1] - 5*d[3] + d[5],
	}
}

// sumsAcross is 24·Aᵀ·m, with the factors that tapsAcross leaves out.
func sumsAcross(m [winogradReach]int32) [winogradSide]int32 {
	return [winogradSide]int32{
		6*m[0] - 4*m[1] - 4*m[2] + m[3] + m[4],
		-4*m[1] + 4*m[2] + 2*m[3] - 2*m[4],
		-4*m[1] - 4*m[2] + 4*m[3] + 4*m[4],
		-4*m[1] + 4*m[2] + 8*m[3] - 8*m[4] + 24*m[5],
	}
}
