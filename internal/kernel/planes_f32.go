package kernel

// PlanesF32 is the weight of a convolution to few channels, which would leave most of a vector of channels empty.
// Vectors are of neighbouring pixels instead: the image is split into planes, a channel for each remainder of rows and
// columns by the strides, in which each tap of a run of output pixels is a run too. Rows of a plane are as long as an
// output row and what taps read beyond it, so that one run goes over the ends of rows; what it makes there is dropped.
// It is read-only and may be shared.
type PlanesF32 struct {
	n, c, k       int // output channels, input channels, products to a sum
	win           Window
	level         Level
	pitch, height int           // of a plane
	size          int           // elements from plane to plane
	off           []int32       // of each k: from an output pixel to what is multiplied, in elements
	groups        []planesGroup // of output channels
	w             []float32     // [n][k], as the definition reads them
}

// planesGroup is a group of output channels that assembly makes together.
type planesGroup struct {
	n0, n1, rows int
	w            []float32 // [k][rows]
}

// apart is the size of planes of n elements, so that the same pixel of many large ones does not fall on the same lines of
// the first cache: five lines apart.
func apart(n int) int {
	const page, lines, large = 1024, 5 * 16, 4096
	if n < large {
		return n
	}
	return (n-lines+page-1)/page*page + lines
}

// planesSlack follows the planes: runs are made in whole tiles.
const planesSlack = 128

// PackPlanesF32 takes the weight (n, c, KH, KW) of a convolution of images of c channels. The pitch of win does not matter.
func (l Level) PackPlanesF32(w []float32, n, c int, win Window) *PlanesF32 {
	p := &PlanesF32{n: n, c: c, k: c * win.KH * win.KW, win: win, level: l, w: w}
	p.pitch = win.OW + (win.KW-1)*win.DilW/win.StrideW
	p.height = win.OH + (win.KH-1)*win.DilH/win.StrideH
	p.size = apart(p.height * p.pitch)
	for ch := range c {
		for ky := range win.KH {
			for kx := range win.KW {
				y, x := ky*win.DilH, kx*win.DilW
				plane := (ch*win.StrideH+y%win.StrideH)*win.StrideW + x%win.StrideW
				p.off = append(p.off, int32(plane*p.size+y/win.StrideH*p.pitch+x/win.StrideW))
			}
		}
	}
	p.group()
	return p
}

// Len is the number of elements of the planes of an image, with those that may be read behind them.
func (p *PlanesF32) Len() int { return p.Planes()*p.size + planesSlack }

// Planes is the number of planes of an image.
func (p *PlanesF32) Planes() int { return p.c * p.win.StrideH * p.win.StrideW }

// Split writes the planes from to to-1 of the image x, (C, H, W), with its padding.
func (p *PlanesF32) Split(dst, x []float32, from, to int) {
	w := &p.win
	for i := from; i < to; i++ {
		px, py, c := i%w.StrideW, i/w.StrideW%w.StrideH, i/w.StrideW/w.StrideH
		for j := range p.height {
			row := dst[i*p.size+j*p.pitch:][:p.pitch]
			if y := j*w.StrideH + py - w.Top; y < 0 || y >= w.H {
				clear(row)
			} else {
				pickEvery(row, x[(c*w.H+y)*w.W:][:w.W], px-w.Left, w.StrideW)
			}
		}
		clear(dst[i*p.size:][p.height*p.pitch : p.size])
	}
	if to == p.Planes() {
		clear(dst[to*p.size:][:planesSlack])
	}
}

// pickEvery fills dst with the elements at, at+step and so on of x, zeros where there is none.
func pickEvery(dst, x []float32, at, step int) {
	first := 0
	if at < 0 {
		first = min(len(dst), (-at+step-1)/step)
	}
	end := first
	if last := len(x) - 1 - at; last >= 0 {
		end = max(first, min(len(dst), last/step+1))
	}
	clear(dst[:first])
	clear(dst[end:])
	if step == 1 && first < end {
		copy(dst[first:end], x[at+first:])
		return
	}
	for j := first; j < end; j++ {
		dst[j] = x[at+j*step]
	}
}

// OutPlanes says where the results of a convolution over planes go: channel n, pixel i to C[n*Ldc+i]. The stored value
// is clamp(sum + Bias[n]).
type OutPlanes struct {
	C        []float32
	Ldc      int
	Bias     []float32 // one per channel; nil: none
	Min, Max float32   // no clamp where Min == Max; a NaN passes
}

// Conv makes the output rows y0 to y1-1 of an image that Split has split. Each sum starts at the bias and runs over
// the channels, then the taps, in ascending order.
func (p *PlanesF32) Conv(planes []float32, out *OutPlanes, y0, y1 int) {
	if len(planes) < p.Len() {
		panic("kernel: input is too short")
	}
	checkOut(len(out.C), out.Ldc, y1*p.win.OW, p.n)
	if out.Bias != nil {
		_ = out.Bias[p.n-1]
	}
	if y0 < y1 && !p.runFast(planes, out, y0, y1) {
		p.runGeneric(planes, out, y0, y1)
	}
}

// runGeneric is the meaning of Conv.
func (p *PlanesF32) runGeneric(planes []float32, out *OutPlanes, y0, y1 int) {
	o := OutF32{Min: out.Min, Max: out.Max}
	sum := make([]float32, p.win.OW)
	for y := y0; y < y1; y++ {
		x := planes[y*p.pitch:]
		for n := range p.n {
			var bias float32
			if out.Bias != nil {
				bias = out.Bias[n]
			}
			fill(sum, bias)
			for k, w := range p.w[n*p.k:][:p.k] {
				addScaled(sum, w, x[p.off[k]:])
			}
			o.C = out.C[n*out.Ldc+y*p.win.OW:]
			o.store(sum, 0, 0)
		}
	}
}
