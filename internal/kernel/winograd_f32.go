package kernel

import "sync"

// WinogradF32 is the weight of a float32 convolution with a window of 3×3 and
// stride 1, in Winograd's form F(2×2, 3×3): tiles of 2×2 outputs are 16
// products of matrices, with 2.25 times fewer multiplications than the sums
// have (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
// section 4.1). Its transforms only add and halve, so errors stay within a
// small multiple of those of the sums. It is read-only and may be shared.
//
// A value that is not finite reaches all four outputs of its tiles.
type WinogradF32 struct {
	shape    // its panels are cut for [Range]; k is the number of channels
	products *PackedF32
}

// winogradGrain is the number of channels that both ends have a multiple of.
const winogradGrain = 16

// WinogradF32 says whether a convolution of k to n channels has the form.
func (w Window) WinogradF32(n, k int) bool {
	return w.winograd() && n%winogradGrain == 0 && k%winogradGrain == 0 && n > 0 && k > 0
}

// TilesF32 gives the rows and columns of tiles that cover the output.
func (w Window) TilesF32() (rows, cols int) { return (w.OH + 1) / 2, (w.OW + 1) / 2 }

// PackWinogradF32 transforms the weight w(n, tap, c): U = G·g·Gᵀ for each pair
// of channels.
func (l Level) PackWinogradF32(w []float32, n, c int, o Order) *WinogradF32 {
	p := &WinogradF32{shape: shape{n: n, k: c, taps: 9}, products: &PackedF32{shape: shape{n: 16 * n, k: c, taps: 1, kd: c, per: 1}, level: l}}
	q := p.products
	var widths func(int) []int
	p.lanes, widths = l.tilingF32(1, c)
	list := widths(n / p.lanes)
	p.cut(func(int) []int { return list })
	q.lanes, q.zeros = p.lanes, make([]float32, c)
	q.data = aligned[float32](q.cut(func(int) []int {
		var all []int
		for _, nv := range list {
			for range 16 {
				all = append(all, nv)
			}
		}
		return all
	}))
	for i, pn := range p.panels {
		p.packPanel(i, w[pn.n0*o.N:], o)
	}
	return p
}

// packPanel transforms the columns of a panel; w begins at its first.
func (p *WinogradF32) packPanel(i int, w []float32, o Order) {
	width := p.panels[i].nv * p.lanes
	var u [16]float32
	for c := range p.k {
		for j := range width {
			g := w[j*o.N+c*o.K:]
			var taps [9]float64
			for t := range taps {
				taps[t] = float64(g[t*o.Tap])
			}
			winogradWeight(&u, &taps)
			for m, v := range u {
				p.products.data[p.products.panels[16*i+m].off+c*width+j] = v
			}
		}
	}
}

// winogradWeight computes G·g·Gᵀ with G = (1 0 0; ½ ½ ½; ½ −½ ½; 0 0 1).
func winogradWeight(u *[16]float32, g *[9]float64) {
	var t [4][3]float64
	for j := range 3 {
		a, b, c := g[j], g[3+j], g[6+j]
		t[0][j], t[1][j], t[2][j], t[3][j] = a, (a+b+c)/2, (a-b+c)/2, c
	}
	for i, r := range t {
		u[4*i], u[4*i+1], u[4*i+2], u[4*i+3] = float32(r[0]), float32((r[0]+r[1]+r[2])/2), float32((r[0]-r[1]+r[2])/2), float32(r[2])
	}
}

// winogradScratch holds the transformed tiles of a block, their products, and what assembly is told.
type winogradScratch struct {
	v, m []float32
	in   winogradInArgs
	out  winogradOutArgs
}

var winogradScratches = sync.Pool{New: func() any { return new(winogradScratch) }}

// winogradBytes bounds the scratch of a block: it stays in a core's own cache.
const winogradBytes = 5 << 18

// tilesABlock divides some tiles into equal blocks.
func (p *WinogradF32) tilesABlock(tiles int) int {
	const grain = 6 // rows of the usual product
	width := p.panels[0].nv * p.lanes
	most := max(grain, winogradBytes/(16*4*(p.k+width)))
	blocks := (tiles + most - 1) / most
	return ((tiles+blocks-1)/blocks + grain - 1) / grain * grain
}

// Conv convolves one image x: the tiles r.M0..r.M1-1, which lie in rows of
// [Window.TilesF32] columns, of the panels r.P0..r.P1-1. Row i of out is pixel i.
// Padding reads as zero.
func (p *WinogradF32) Conv(x []float32, w *Window, out *OutF32, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	if len(x) < w.span()+p.k {
		panic("kernel: input is too short")
	}
	out.check(p.n, w.OH*w.OW)
	s := winogradScratches.Get().(*winogradScratch)
	defer winogradScratches.Put(s)
	step := p.tilesABlock(r.M1 - r.M0)
	for t := r.M0; t < r.M1; t += step {
		b := winogradBlock{p: p, x: x, w: w, out: out, t0: t, t1: min(r.M1, t+step)}
		b.run(s, r)
	}
}

// A winogradBlock is the work on some tiles.
type winogradBlock struct {
	p      *WinogradF32
	x      []float32
	w      *Window
	out    *OutF32
	t0, t1 int
	v, m   []float32 // the input transformed, [16][tile][channel]; products, [16][tile][column]
	vStep  int       // elements from matrix to matrix
	mStep  int
}

// matrixGap keeps the same element of neighbouring matrices off one line of the first cache.
const matrixGap = 16

func (b *winogradBlock) run(s *winogradScratch, r Range) {
	tiles, p := b.t1-b.t0, b.p
	b.vStep = tiles*p.k + matrixGap
	s.v = grow(s.v, 16*b.vStep)
	b.v = s.v
	if !b.transformFast(&s.in) {
		b.transform()
	}
	for i := r.P0; i < r.P1; i++ {
		width := p.panels[i].nv * p.lanes
		b.mStep = tiles*width + matrixGap
		s.m = grow(s.m, 16*b.mStep)
		b.m = s.m
		for m := range 16 {
			p.products.onePanel(16*i+m, b.v[m*b.vStep:], tiles, b.m[m*b.mStep:])
		}
		if !b.gatherFast(&s.out, i) {
			b.gather(i)
		}
	}
}

// onePanel multiplies m rows, k apart, by one panel: c is m rows of its width.
func (p *PackedF32) onePanel(i int, a []float32, m int, c []float32) {
	pn := p.panels[i]
	width := pn.nv * p.lanes
	pn.n0, pn.n1 = 0, width
	from, out := rows[float32]{x: a, lda: p.k, k: p.k, taps: 1}, OutF32{C: c, Ldc: width}
	from.check(m)
	checkOut(len(c), width, width, m)
	if !p.panelFast(pn, p.panels[min(i+1, len(p.panels)-1)], &from, &out, 0, m) {
		p.panelGeneric(pn, &from, &out, 0, m)
	}
}

// pixel gives the channels of the input pixel (i, j) of a tile.
func (b *winogradBlock) pixel(tile, i, j int) []float32 {
	_, cols := b.w.TilesF32()
	y, x := tile/cols*2-b.w.Top+i, tile%cols*2-b.w.Left+j
	if y < 0 || y >= b.w.H || x < 0 || x >= b.w.W {
		return b.p.products.zeros
	}
	return b.x[(y*b.w.W+x)*b.w.Pitch:][:b.p.k]
}

// transform computes V = Bᵀ·d·B of each tile d of 4×4 pixels and each channel,
// with Bᵀ = (1 0 −1 0; 0 1 1 0; 0 −1 1 0; 0 1 0 −1).
func (b *winogradBlock) transform() {
	var d [16][]float32
	for t := b.t0; t < b.t1; t++ {
		for q := range d {
			d[q] = b.pixel(t, q/4, q%4)
		}
		for c := range b.p.k {
			var rows [4][4]float32
			for j := range 4 {
				d0, d1, d2, d3 := d[j][c], d[4+j][c], d[8+j][c], d[12+j][c]
				rows[0][j], rows[1][j], rows[2][j], rows[3][j] = d0-d2, d1+d2, d2-d1, d1-d3
			}
			for i, r := range rows {
				for j, v := range [4]float32{r[0] - r[2], r[1] + r[2], r[2] - r[1], r[1] - r[3]} {
					b.v[(4*i+j)*b.vStep+(t-b.t0)*b.p.k+c] = v
				}
			}
		}
	}
}

// gather computes Y = Aᵀ·M·A of each tile, with Aᵀ = (1 1 1 0; 0 1 −1 −1), and
// stores it with what out adds.
func (b *winogradBlock) gather(panel int) {
	pn := b.p.panels[panel]
	width := pn.nv * b.p.lanes
	_, cols := b.w.TilesF32()
	y := make([]float32, width)
	for t := b.t0; t < b.t1; t++ {
		for q := range 4 {
			oy, ox := t/cols*2+q/2, t%cols*2+q%2
			if oy >= b.w.OH || ox >= b.w.OW {
				continue
			}
			for j := range y {
				y[j] = b.sum(q, (t-b.t0)*width+j)
				if b.out.Bias != nil {
					y[j] += b.out.Bias[pn.n0+j]
				}
			}
			b.out.store(y, oy*b.w.OW+ox, pn.n0)
		}
	}
}

// sum gives output q of the four of a tile, whose products are at element at of each matrix.
func (b *winogradBlock) sum(q, at int) float32 {
	var r [4]float32
	for j := range r {
		m1, m2 := b.m[(4+j)*b.mStep+at], b.m[(8+j)*b.mStep+at]
		if q < 2 {
			r[j] = b.m[j*b.mStep+at] + m1 + m2
		} else {
			r[j] = m1 - m2 - b.m[(12+j)*b.mStep+at]
		}
	}
	if q%2 == 0 {
		return r[0] + r[1] + r[2]
	}
	return r[1] - r[2] - r[3]
}
