package kernel

// PlanesF32 is the weight of a convolution to few channels, which would leave most of a vector of channels empty.
// Vectors are of neighbouring pixels instead, which lie side by side in planes. It is read-only and may be shared.
type PlanesF32 struct {
	planes
	n, k   int           // output channels, products to a sum
	groups []planesGroup // of output channels
	w      []float32     // [n][k], as the definition reads them
}

// planesGroup is a group of output channels that assembly makes together.
type planesGroup struct {
	n0, n1, rows int
	w            []float32 // [k][rows]
}

// PackPlanesF32 takes the weight (n, c, KH, KW) of a convolution of images of c channels. The pitch of win does not matter.
func (l Level) PackPlanesF32(w []float32, n, c int, win Window) *PlanesF32 {
	p := &PlanesF32{planes: newPlanes(l, win, c, 1), n: n, k: c * win.KH * win.KW, w: w}
	p.group()
	return p
}

// For returns p for images of another size, the strides and dilations of whose windows are those of p's.
func (p *PlanesF32) For(win Window) *PlanesF32 {
	q := *p
	q.planes = newPlanes(p.level, win, p.k/(win.KH*win.KW), 1)
	if len(q.groups) > 0 {
		q.inBytes(4)
	}
	return &q
}

// Planes is the number of planes of an image.
func (p *PlanesF32) Planes() int { return p.count }

// Split writes the planes from to to-1 of the image x, (C, H, W), with its padding.
func (p *PlanesF32) Split(dst, x []float32, from, to int) {
	w := &p.win
	for i := from; i < to; i++ {
		px, py, c := i%w.StrideW, i/w.StrideW%w.StrideH, i/w.StrideW/w.StrideH
		first, end := p.columns(px - w.Left)
		for j := range p.height {
			row := dst[i*p.size+j*p.pitch:][:p.pitch]
			if y := j*w.StrideH + py - w.Top; y < 0 || y >= w.H {
				clear(row)
			} else {
				clear(row[:first])
				clear(row[end:])
				pickEvery(row[first:end], x[(c*w.H+y)*w.W:], first*w.StrideW+px-w.Left, w.StrideW)
			}
		}
		clear(dst[i*p.size:][p.height*p.pitch : p.size])
	}
	if to == p.count {
		clear(dst[to*p.size:][:planesSlack])
	}
}

// pickEvery fills dst with the elements at, at+step and so on of x.
func pickEvery(dst, x []float32, at, step int) {
	if step == 1 && len(dst) > 0 {
		copy(dst, x[at:])
		return
	}
	for j := range dst {
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
// the channels, then the taps, in ascending order, but for the sums of blocks, which are added.
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
	sum, before := make([]float32, p.win.OW), make([]float32, p.win.OW)
	_, part := sumBlocks(1, p.k)
	for y := y0; y < y1; y++ {
		x := planes[y*p.pitch:]
		for n := range p.n {
			var bias float32
			if out.Bias != nil {
				bias = out.Bias[n]
			}
			fill(sum, bias)
			fill(before, negZeros[0])
			for k, w := range p.w[n*p.k:][:p.k] {
				if k > 0 && k%part == 0 {
					addRef(before, before, sum)
					clear(sum)
				}
				addScaled(sum, w, x[p.off[k]:])
			}
			addRef(sum, sum, before)
			o.C = out.C[n*out.Ldc+y*p.win.OW:]
			o.store(sum, 0, 0)
		}
	}
}
