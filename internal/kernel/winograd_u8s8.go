package kernel

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
	sums  []int32
	fast  bool
}

const (
	tileSide  = 4            // outputs of a tile, down and across
	tileReach = tileSide + 2 // pixels that it needs
	tileArea  = tileReach * tileReach
	sumBound  = 1 << 25 // of the magnitude of a sum
	inverse9  = 954437177
)

// weightRows is G without its factors 1/4, −1/6, −1/6, 1/24, 1/24 and 1.
var weightRows = [tileReach][3]int{{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 1}}

// PackWinogradU8S8 arranges the weight w(n, tap, k) of nine taps for codes up to most. It returns nil where
// a sum of products could need more bits than come out.
func (l Level) PackWinogradU8S8(w []int8, n, k int, o Order, most uint8) *WinogradU8S8 {
	p := &WinogradU8S8{shape: shape{n: n, k: k, taps: tileArea, per: 2, kd: (k + 1) / 2}, level: l}
	for j := range n {
		above, below := 0, 0
		for tap := range 9 {
			for i := range k {
				v := int(w[j*o.N+tap*o.Tap+i*o.K])
				above, below = above+max(v, 0), below+min(v, 0)
			}
		}
		if max(above, -below)*int(most) >= sumBound {
			return nil
		}
		p.sums = append(p.sums, int32(above+below))
	}
	p.data = aligned[int16](p.cut(p.setLanes()))
	packPanels(p.data, filtered(w, n, k, o), &p.shape, Order{N: tileArea * k, Tap: k, K: 1})
	return p
}

// filtered transforms a weight to (n, position, k): G·g·Gᵀ of each 3×3 taps, at most 49·128.
func filtered(w []int8, n, k int, o Order) []int16 {
	u := make([]int16, n*tileArea*k)
	for j := range n {
		for i := range k {
			var half [tileReach][3]int
			for y, row := range weightRows {
				for x := range 3 {
					for t, f := range row {
						half[y][x] += f * int(w[j*o.N+(t*3+x)*o.Tap+i*o.K])
					}
				}
			}
			for y := range half {
				for x, row := range weightRows {
					v := 0
					for t, f := range row {
						v += f * half[y][t]
					}
					u[(j*tileArea+y*tileReach+x)*k+i] = int16(v)
				}
			}
		}
	}
	return u
}

// TilesU8S8 lists for every tile of 4×4 outputs where the 6×6 pixels that it needs begin. It depends on the
// geometry alone and may be shared.
type TilesU8S8 struct {
	Rows, Cols int     // of tiles
	oh, ow     int     // outputs
	off        []int32 // [Rows][Cols][36]; −1: padding
	span       int
}

// TilesU8S8 computes the offsets, for a window of 3×3 with steps of one.
func (w Window) TilesU8S8() *TilesU8S8 {
	t := &TilesU8S8{Rows: (w.OH + tileSide - 1) / tileSide, Cols: (w.OW + tileSide - 1) / tileSide, oh: w.OH, ow: w.OW}
	for ty := range t.Rows {
		for tx := range t.Cols {
			for i := range tileArea {
				y, x := ty*tileSide+i/tileReach-w.Top, tx*tileSide+i%tileReach-w.Left
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

// tileChannels is how many channels, on either side, make Winograd's form pay.
const tileChannels = 32

// WinogradPaysU8S8 says whether a convolution of k to n channels is faster in Winograd's form: where
// the level has no instruction for the dot product of bytes, and tiles are filled well enough.
func (l Level) WinogradPaysU8S8(n, k int, w Window) bool {
	if !w.winograd() || !l.fastWinogradU8S8(k) || min(n, k) < tileChannels {
		return false
	}
	t := (w.OH + tileSide - 1) / tileSide * ((w.OW + tileSide - 1) / tileSide)
	return t*tileSide*tileSide <= 2*w.OH*w.OW
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
	out.check(p.n, min(r.M1*tileSide, t.oh)*t.ow)
	if p.fast {
		p.runFast(x, pad, t, out, r)
		return
	}
	p.runGeneric(x, pad, t, out, r)
}

// runGeneric is the meaning of Conv.
func (p *WinogradU8S8) runGeneric(x []uint8, pad uint8, t *TilesU8S8, out *OutU8S8, r Range) {
	v := make([][tileArea]int16, p.k)
	for i := r.M0 * t.Cols; i < r.M1*t.Cols; i++ {
		for c := range v {
			var d [tileArea]int16
			for q, o := range t.off[i*tileArea:][:tileArea] {
				if d[q] = int16(pad); o >= 0 {
					d[q] = int16(x[int(o)+c])
				}
			}
			v[c] = tileOf(d)
		}
		for _, pn := range p.panels[r.P0:r.P1] {
			for j := range pn.n1 - pn.n0 {
				var m [tileArea]int32
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
func (p *WinogradU8S8) storeTile(sums [tileSide * tileSide]int32, t *TilesU8S8, out *OutU8S8, i, j int) {
	for q, s := range sums {
		y, x := i/t.Cols*tileSide+q/tileSide, i%t.Cols*tileSide+q%tileSide
		if out.Bias != nil {
			s += out.Bias[j]
		}
		if y < t.oh && x < t.ow {
			out.store([]int32{s}, y*t.ow+x, j)
		}
	}
}

// tileOf transforms 6×6 pixels: Bᵀ·d·B, at most 68·255.
func tileOf(d [tileArea]int16) [tileArea]int16 {
	return twice(twice(d, pixelsAcross), pixelsAcross)
}

// outputsOf transforms 6×6 sums to 4×4 sums of the convolution.
func outputsOf(m [tileArea]int32) (y [tileSide * tileSide]int32) {
	var half [tileSide][tileReach]int32
	for x := range tileReach {
		var column [tileReach]int32
		for i := range column {
			column[i] = m[i*tileReach+x]
		}
		for i, v := range sumsAcross(column) {
			half[i][x] = v
		}
	}
	for i, row := range half {
		for x, v := range sumsAcross(row) {
			y[i*tileSide+x] = v * inverse9 >> 6
		}
	}
	return y
}

// twice applies f to each column, and lays the results out as rows.
func twice(d [tileArea]int16, f func([tileReach]int16) [tileReach]int16) (t [tileArea]int16) {
	for x := range tileReach {
		var column [tileReach]int16
		for i := range column {
			column[i] = d[i*tileReach+x]
		}
		for i, v := range f(column) {
			t[x*tileReach+i] = v
		}
	}
	return t
}

// pixelsAcross is Bᵀ·d.
func pixelsAcross(d [tileReach]int16) [tileReach]int16 {
	return [tileReach]int16{
		4*d[0] - 5*d[2] + d[4],
		-4*d[1] - 4*d[2] + d[3] + d[4],
		4*d[1] - 4*d[2] - d[3] + d[4],
		-2*d[1] - d[2] + 2*d[3] + d[4],
		2*d[1] - d[2] - 2*d[3] + d[4],
		4*d[1] - 5*d[3] + d[5],
	}
}

// sumsAcross is 24·Aᵀ·m, with the factors that weightRows leaves out.
func sumsAcross(m [tileReach]int32) [tileSide]int32 {
	return [tileSide]int32{
		6*m[0] - 4*m[1] - 4*m[2] + m[3] + m[4],
		-4*m[1] + 4*m[2] + 2*m[3] - 2*m[4],
		-4*m[1] - 4*m[2] + 4*m[3] + 4*m[4],
		-4*m[1] + 4*m[2] + 8*m[3] - 8*m[4] + 24*m[5],
	}
}
