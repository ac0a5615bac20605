package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// poolNanos is the time of one tap of one channel, roughly.
const poolNanos = 0.1

// A poolSpec says what a pooling of floats computes.
type poolSpec struct {
	pool    *kernel.Pool // without taps
	average bool
	taps    func(pitch int) *kernel.Indirect // of an image of some pitch
	win     kernel.Window
	deep    bool // the window has a depth too
}

// dense returns the pooling of values in slots of their own.
func (p poolSpec) dense() *kernel.Pool {
	p.pool.Taps = p.taps(p.pool.C)
	return p.pool
}

// lowerPool emits MaxPool and AveragePool of one or two spatial dimensions.
func lowerPool(lw *lowerer, n *node) bool {
	if !n.in[0].is(tensor.Float32) {
		return false
	}
	p, ok := poolOf(n)
	if !ok {
		return false
	}
	if q, ok := p.planes(lw.level); ok && lw.straight(n) {
		lw.poolPlanes(n, q)
	} else {
		lw.poolF32(n, p)
	}
	return true
}

// straight says whether the operand of n lies in row-major order, and its result may.
func (lw *lowerer) straight(n *node) bool {
	l, ok := lw.natural(n.in[0])
	return ok && l == rowMajor && lw.placed[n.out[0]].whole == nil
}

// lowerGlobalPool emits a pooling over all pixels.
func lowerGlobalPool(lw *lowerer, n *node) bool {
	x := n.in[0]
	if !x.is(tensor.Float32) || len(x.shape) < 3 || x.elems() == 0 {
		return false
	}
	lw.poolF32(n, globalPoolOf(x, n.kind == "GlobalAveragePool"))
	return true
}

func globalPoolOf(x *value, average bool) poolSpec {
	c, space := x.shape[1], tensor.Elements(x.shape[2:])
	taps := func(pitch int) *kernel.Indirect { return kernel.GlobalTaps(space, pitch) }
	return poolSpec{pool: &kernel.Pool{C: c, OutPitch: c}, average: average, taps: taps}
}

// poolOf reads the window of MaxPool or AveragePool.
func poolOf(n *node) (poolSpec, bool) {
	x, y := n.in[0], n.out[0]
	p := poolSpec{average: n.kind == "AveragePool"}
	if len(n.out) > 1 && n.out[1] != nil || x.elems() == 0 || y.elems() == 0 || n.onnx.Int("storage_order", 0) != 0 {
		return p, false
	}
	k := n.onnx.Ints("kernel_shape")
	w, d, ok := geometry(n, x, y, k, x.shape[1])
	if !ok {
		return p, false
	}
	p.pool = &kernel.Pool{C: x.shape[1], OutPitch: x.shape[1]}
	if p.average && n.onnx.Bool("count_include_pad", false) {
		if d != nil {
			return p, false
		}
		p.pool.Divisors, ok = paddedDivisors(n, w)
	}
	if d != nil {
		d.kernel = min(d.kernel, reach(d.size+d.before, d.dilation))
	}
	w.KH, w.KW = min(w.KH, reach(w.H+w.Top, w.DilH)), min(w.KW, reach(w.W+w.Left, w.DilW))
	p.win, p.deep = w, d != nil
	p.taps = func(pitch int) *kernel.Indirect {
		at := w
		at.Pitch = pitch
		return d.indirect(at)
	}
	return p, ok
}

// reach is how many taps of a kernel, dilated so, n positions hold: those beyond see nothing.
func reach(n, dilation int) int { return (n-1)/dilation + 1 }

// paddedDivisors counts the taps of each output pixel that lie within the image or its declared
// padding; what ceil_mode adds beyond is left out.
func paddedDivisors(n *node, w kernel.Window) ([]float32, bool) {
	bottom, right := 0, 0
	if pads := n.onnx.Ints("pads"); len(pads) == 4 {
		bottom, right = pads[2], pads[3]
	} else if len(pads) == 2 {
		right = pads[1]
	} else if auto := n.onnx.Str("auto_pad", "NOTSET"); auto != "NOTSET" && auto != "VALID" {
		bottom, right = w.KH*w.DilH, w.KW*w.DilW // SAME never looks beyond its padding
	}
	within := func(o, stride, before, k, dil, size int) (c int) {
		for i := range k {
			if at := o*stride - before + i*dil; at < size {
				c++
			}
		}
		return c
	}
	list := make([]float32, 0, w.OH*w.OW)
	for oy := range w.OH {
		rows := within(oy, w.StrideH, w.Top, w.KH, w.DilH, w.H+bottom)
		for ox := range w.OW {
			list = append(list, float32(rows*within(ox, w.StrideW, w.Left, w.KW, w.DilW, w.W+right)))
		}
	}
	return list, true
}

func (lw *lowerer) poolF32(n *node, p poolSpec) {
	x, y := n.in[0], n.out[0]
	src, dst := lw.pixelsOf(x), lw.pixelsFor(y)
	p.pool.Taps, p.pool.OutPitch = p.taps(src.pitch), dst.pitch
	im := imageOf(x, y)
	im.in, im.out = im.in/x.shape[1]*src.pitch, im.rows*dst.pitch
	run, name := lw.level.MaxPoolF32, "f32 max pool"
	if p.average {
		run, name = lw.level.AvgPoolF32, "f32 average pool"
	}
	cuts := lw.rowCuts(im, 1, float64(y.elems()*p.pool.Taps.Taps)*poolNanos, nil)
	lw.emit(&step{node: n, kernel: name, parts: len(cuts), in: []*slot{src.slot}, out: []*slot{dst.slot}, run: func(f *frame, part int) error {
		c := cuts[part]
		run(p.pool, imageAt(f.f32(dst.slot), im.out, c.image, dst.off), imageAt(f.f32(src.slot), im.in, c.image, src.off), c.M0, c.M1)
		return nil
	}})
}
