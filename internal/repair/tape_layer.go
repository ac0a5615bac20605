package repair

import (
	"lowbit/internal/kernel"
)

// An affine multiplies by a weight and adds a bias: a convolution or a matrix product. Its operands
// are window's.
type affine struct {
	from, to     int
	win          window
	weight, bias int // knobs; bias -1: none
	first        bool
	taps, kc     int              // taps of the kernel, input channels of a group
	ix, back     *kernel.Indirect // nil where each pixel sees itself alone
	deep         bool             // each channel sees itself alone
	ahead, rear  []*kernel.PackedF32
	deepAhead    *kernel.GroupedF32
	deepRear     *kernel.GroupedF32
}

// orders says how the weight lies for products with the input and with the gradient of the result,
// within one group.
func (s *affine) orders() (ahead, rear kernel.Order) {
	switch k := s.win.k; {
	case s.win.outward:
		return kernel.Order{N: 1, K: s.win.rows}, kernel.Order{N: s.win.rows, K: 1}
	case s.win.matrix:
		return kernel.Order{N: k, K: 1}, kernel.Order{N: 1, K: k}
	default:
		return kernel.Order{N: k, Tap: 1, K: s.taps}, kernel.Order{N: s.taps, Tap: 1, K: k}
	}
}

// pack arranges the weight for the kernels, anew after each change.
func (s *affine) pack(level kernel.Level, w []float32) {
	ahead, rear := s.orders()
	if s.deep {
		s.deepAhead = level.PackDepthwiseF32(w, s.win.groups, s.taps, kernel.Order{N: s.taps, Tap: 1})
		s.deepRear = s.deepAhead
		return
	}
	for g := range s.win.groups {
		own := w[g*s.win.rows*s.win.k:]
		if len(s.ahead) <= g {
			s.ahead = append(s.ahead, level.PackF32(own, s.win.rows, s.kc, s.taps, ahead))
			s.rear = append(s.rear, level.PackF32(own, s.kc, s.win.rows, s.taps, rear))
			continue
		}
		s.ahead[g].Repack(own, ahead)
		s.rear[g].Repack(own, rear)
	}
}

func (s *affine) forward(l *lane) {
	var bias []float32
	if s.bias >= 0 {
		bias = l.t.knobs[s.bias].x
	}
	s.multiply(l, l.x[s.from], l.x[s.to], l.t.cells[s.from], l.t.cells[s.to], s.ahead, s.deepAhead, s.ix, bias, false)
}

// multiply computes y from x by weights that are packed for it, or adds to y.
func (s *affine) multiply(l *lane, x, y []float32, from, to cell, packed []*kernel.PackedF32, deep *kernel.GroupedF32, ix *kernel.Indirect, bias []float32, add bool) {
	if ix == nil && !s.deep {
		for g, p := range packed {
			out := &kernel.OutF32{C: y[g*p.N():], Ldc: to.c}
			if bias != nil {
				out.Bias = bias[g*p.N():]
			}
			if add {
				out.Add, out.LdAdd = out.C, to.c
			}
			p.Gemm(x[g*p.K():], from.c, out, p.All(l.n*to.pixels()))
		}
		return
	}
	for i := range l.n {
		in, res := x[i*from.len():][:from.len()], y[i*to.len():][:to.len()]
		if s.deep {
			out := &kernel.OutF32{C: res, Ldc: to.c, Bias: bias}
			if add {
				out.Add, out.LdAdd = res, to.c
			}
			deep.Run(in, ix, out, 0, to.pixels())
			continue
		}
		for g, p := range packed {
			out := &kernel.OutF32{C: res[g*p.N():], Ldc: to.c}
			if bias != nil {
				out.Bias = bias[g*p.N():]
			}
			if add {
				out.Add, out.LdAdd = out.C, to.c
			}
			p.Conv(in[g*p.K():], ix, out, p.All(to.pixels()))
		}
	}
}

func (s *affine) backward(l *lane) {
	if !l.t.fixed {
		s.knobGrads(l)
	}
	if !s.first {
		s.multiply(l, l.d[s.to], l.d[s.from], l.t.cells[s.to], l.t.cells[s.from], s.rear, s.deepRear, s.back, nil, true)
	}
}

// knobGrads adds the gradients of the weight and the bias.
func (s *affine) knobGrads(l *lane) {
	to := l.t.cells[s.to]
	dy := l.d[s.to]
	if s.bias >= 0 {
		g := l.grads[s.bias]
		for p := range l.n * to.pixels() {
			l.t.level.Binary(kernel.Add, g, g, dy[p*to.c:][:to.c])
		}
	}
	switch {
	case s.deep:
		s.deepGrad(l)
	case s.ix == nil:
		s.flatGrad(l)
	default:
		s.tapGrad(l)
	}
}

// flatGrad adds Σ dy·xᵀ over all pixels.
func (s *affine) flatGrad(l *lane) {
	from, to := l.t.cells[s.from], l.t.cells[s.to]
	m := l.n * to.pixels()
	a, b, ca, cb := l.d[s.to], l.x[s.from], to.c, from.c
	if s.win.outward {
		a, b, ca, cb = b, a, cb, ca
	}
	for g := range s.win.groups {
		na, nb := ca/s.win.groups, cb/s.win.groups
		addOuter(l, l.grads[s.weight][g*na*nb:][:na*nb], a[g*na:], ca, na, b[g*nb:], cb, nb, m)
	}
}

// outerRows is how many rows a product of columns takes at a time, so that they stay near.
const outerRows = 512

// addOuter adds Σ aᵀ·b to sum (na,nb), for m rows of which a and b have na and nb elements, lda and ldb apart.
func addOuter(l *lane, sum, a []float32, lda, na int, b []float32, ldb, nb, m int) {
	left := l.scratch(na * min(m, outerRows))
	var p *kernel.PackedF32
	for from := 0; from < m; from += outerRows {
		n := min(outerRows, m-from)
		kernel.TransposePitch(l.t.level, left, a[from*lda:], n, na, n, lda)
		if order := (kernel.Order{N: 1, K: ldb}); p == nil || p.K() != n {
			p = l.t.level.PackF32(b[from*ldb:], nb, n, 1, order)
		} else {
			p.Repack(b[from*ldb:], order)
		}
		p.Gemm(left, n, &kernel.OutF32{C: sum, Ldc: nb, Add: sum, LdAdd: nb}, p.All(na))
	}
}

// tapGrad adds the gradient of a convolution with a kernel: that of each sample from the rows that its
// pixels see, (taps,channels).
func (s *affine) tapGrad(l *lane) {
	from, to := l.t.cells[s.from], l.t.cells[s.to]
	rows, k, m := s.win.rows, s.win.k, to.pixels()
	patches, sums := make([]float32, m*k), make([]float32, rows*k)
	for g := range s.win.groups {
		clear(sums)
		for i := range l.n {
			s.gather(patches, l.x[s.from][i*from.len():][:from.len()], g)
			addOuter(l, sums, l.d[s.to][i*to.len()+g*rows:], to.c, rows, patches, k, k, m)
		}
		grad := l.grads[s.weight][g*rows*k:]
		for o := range rows {
			for t := range s.taps {
				for c := range s.kc {
					grad[o*k+c*s.taps+t] += sums[o*k+t*s.kc+c]
				}
			}
		}
	}
}

// gather writes what each pixel of the result sees of group g: (pixels,taps,channels).
func (s *affine) gather(patches, x []float32, g int) {
	for p := range len(patches) / s.win.k {
		for t := range s.taps {
			dst := patches[p*s.win.k+t*s.kc:][:s.kc]
			if at := s.ix.At(p, t); at < 0 {
				clear(dst)
			} else {
				copy(dst, x[at+g*s.kc:][:s.kc])
			}
		}
	}
}

// deepGrad adds the gradient of a convolution in which each channel sees itself alone. Neighbouring
// pixels that see neighbours are taken together.
func (s *affine) deepGrad(l *lane) {
	from, to := l.t.cells[s.from], l.t.cells[s.to]
	c, level := to.c, l.t.level
	wide := to.w * c
	sums, temp := make([]float32, s.taps*wide), make([]float32, wide)
	for i := range l.n {
		x, dy := l.x[s.from][i*from.len():][:from.len()], l.d[s.to][i*to.len():][:to.len()]
		for row := 0; row < to.pixels(); row += to.w {
			for t := range s.taps {
				for p := 0; p < to.w; {
					at, n := s.stretch(row+p, t, to.w-p, c)
					if at >= 0 {
						own := sums[t*wide+p*c:][:n*c]
						level.Binary(kernel.Mul, temp[:n*c], dy[(row+p)*c:][:n*c], x[at:][:n*c])
						level.Binary(kernel.Add, own, own, temp[:n*c])
					}
					p += n
				}
			}
		}
	}
	grad := l.grads[s.weight]
	for t := range s.taps {
		for k, v := range sums[t*wide:][:wide] {
			grad[k%c*s.taps+t] += v
		}
	}
}

// stretch returns where pixel p sees a tap, and for how many of up to most pixels on it goes on alike.
func (s *affine) stretch(p, tap, most, c int) (at, n int) {
	at = s.ix.At(p, tap)
	for n = 1; n < most; n++ {
		next := s.ix.At(p+n, tap)
		if at < 0 && next >= 0 || at >= 0 && next != at+n*c {
			break
		}
	}
	return at, n
}

// geometry finds which pixels see which, from in to out.
func (s *affine) geometry(from, to cell) {
	two := func(list []int, none int) (a, b int) {
		if len(list) == 1 {
			return none, list[0]
		}
		return list[0], list[1]
	}
	kh, kw := two(s.win.kernel, 1)
	sh, sw := two(s.win.strides, 1)
	dh, dw := two(s.win.dils, 1)
	top, left := two(s.win.pads[:len(s.win.kernel)], 0)
	w := kernel.Window{H: from.h, W: from.w, Pitch: from.c, KH: kh, KW: kw, StrideH: sh, StrideW: sw, DilH: dh, DilW: dw, Top: top, Left: left, OH: to.h, OW: to.w}
	s.ix = w.Indirect()
	off := make([]int32, from.pixels()*s.taps)
	for i := range off {
		off[i] = -1
	}
	for p := range to.pixels() {
		for t := range s.taps {
			if at := s.ix.At(p, t); at >= 0 {
				off[at/from.c*s.taps+t] = int32(p * to.c)
			}
		}
	}
	s.back = kernel.NewIndirect(off, s.taps)
}
