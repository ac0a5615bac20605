package engine

import (
	"slices"

	"lowbit/internal/tensor"
)

// A deal is an image whose pixels were dealt out to channels: each channel of the result takes one pixel
// of every square of step×step pixels, of one channel of the image.
type deal struct {
	image *value
	step  int
	from  []source // of each channel of the result
}

// A source is a channel, and a row and a column in the square.
type source struct{ channel, row, col int }

// maxDealt bounds the channels of images for which a large window is better than dealing.
const maxDealt = 4

// undeal lets convolutions over dealt pixels read the image itself, with a window and a stride that are
// step times as large.
func undeal(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		switch s := n.spec.(type) {
		case *convSpec:
			if d, ok := dealOf(n.in[0]); ok && s.undealt(d, s.weight) {
				s.weight = d.weight(s.weight)
				n.setIn(append([]*value{d.image}, n.in[1:]...)...)
			}
		case *intConv:
			x, q := n.in[0], (*node)(nil)
			if q = defOf(x, "quantize", 1); q != nil {
				x = q.in[0]
			}
			if d, ok := dealOf(x); ok && s.undealt(d, s.weight) {
				s.weight = d.weight(s.weight)
				n.setIn(g.quantizedAs(q, d.image, n))
			}
		}
	}
	g.sweep()
}

// quantizedAs quantizes x in front of n as q does; without q it is x.
func (g *net) quantizedAs(q *node, x *value, n *node) *value {
	if q == nil {
		return x
	}
	y := g.newValue(x, tensor.Uint8, x.shape)
	g.insert(newNode("quantize", q, q.spec, []*value{x}, []*value{y}), n)
	return y
}

// undealt enlarges the window, where the convolution is one that can.
func (s *convShape) undealt(d *deal, w *tensor.Tensor) bool {
	if s.group != 1 || s.win.DilH != 1 || s.win.DilW != 1 || len(w.Shape) != 4 {
		return false
	}
	x := d.image.shape
	s.cg = x[1]
	s.win.H, s.win.W, s.win.Pitch = x[2], x[3], x[1]
	for _, v := range []*int{&s.win.KH, &s.win.KW, &s.win.StrideH, &s.win.StrideW, &s.win.Top, &s.win.Left} {
		*v *= d.step
	}
	return true
}

// weight arranges weights (O, step²·C, KH, KW) for the image: (O, C, step·KH, step·KW).
func (d *deal) weight(w *tensor.Tensor) *tensor.Tensor {
	c, kh, kw := d.image.shape[1], w.Shape[2], w.Shape[3]
	t := tensor.New(w.DType, w.Shape[0], c, d.step*kh, d.step*kw)
	size := w.DType.Bits() / 8
	for i := range w.Len() {
		x, y, ch, o := i%kw, i/kw%kh, i/(kw*kh)%w.Shape[1], i/(kw*kh*w.Shape[1])
		p := d.from[ch]
		to := ((o*c+p.channel)*d.step*kh+d.step*y+p.row)*d.step*kw + d.step*x + p.col
		copy(t.Raw[to*size:][:size], w.Raw[i*size:])
	}
	return t
}

// dealOf recognises an image of few channels all of whose pixels were dealt, for one reader.
func dealOf(v *value) (*deal, bool) {
	if v == nil || v.def == nil || v.single() == nil || len(v.shape) != 4 {
		return nil, false
	}
	row := deals[v.def.kind]
	if row == nil || !v.def.static() {
		return nil, false
	}
	d, ok := row(v.def)
	if !ok || d.image.shape[1] > maxDealt || len(d.from) != d.step*d.step*d.image.shape[1] {
		return nil, false
	}
	seen := map[source]bool{}
	for _, s := range d.from {
		if seen[s] {
			return nil, false
		}
		seen[s] = true
	}
	return d, true
}

// deals lists the operators that deal pixels.
var deals map[string]func(n *node) (*deal, bool)

func init() {
	deals = map[string]func(n *node) (*deal, bool){"Concat": concatDeal, "SpaceToDepth": spaceToDepthDeal, "Gather": gatherDeal}
}

// concatDeal reads strided slices that are concatenated.
func concatDeal(n *node) (*deal, bool) {
	if a := n.onnx.Int("axis", 1); a != 1 && a != -3 {
		return nil, false
	}
	d := &deal{}
	for i, s := range n.in {
		image, at, step, ok := sliceFrom(s)
		if !ok || i > 0 && (image != d.image || step != d.step) {
			return nil, false
		}
		d.image, d.step = image, step
		for c := range image.shape[1] {
			d.from = append(d.from, source{c, at[0], at[1]})
		}
	}
	return d, true
}

// spaceToDepthDeal reads SpaceToDepth, whose channels vary fastest.
func spaceToDepthDeal(n *node) (*deal, bool) {
	d := &deal{image: n.in[0], step: n.onnx.Int("blocksize", 1)}
	if d.step < 2 || n.in[0].konst != nil {
		return nil, false
	}
	for p := range d.step * d.step {
		for c := range d.image.shape[1] {
			d.from = append(d.from, source{c, p / d.step, p % d.step})
		}
	}
	return d, true
}

// gatherDeal reads another order of the channels of a deal.
func gatherDeal(n *node) (*deal, bool) {
	order, ok := intsOf(n.in[1])
	inner, dealt := dealOf(n.in[0])
	if a := n.onnx.Int("axis", 0); !ok || !dealt || a != 1 && a != -3 || len(n.in[1].shape) != 1 {
		return nil, false
	}
	d := &deal{image: inner.image, step: inner.step}
	for _, i := range order {
		if i < 0 {
			i += len(inner.from)
		}
		if i < 0 || i >= len(inner.from) {
			return nil, false
		}
		d.from = append(d.from, inner.from[i])
	}
	return d, true
}

// sliceFrom follows slices of rows and columns back to the image: one pixel of each square of step×step.
func sliceFrom(v *value) (image *value, at [2]int, step int, ok bool) {
	steps, shape := [2]int{1, 1}, v.shape
	for v.def != nil && v.def.kind == "Slice" && v.def.static() && len(v.def.in[0].shape) == 4 {
		x := v.def.in[0]
		start, by, ok := sliceOf(v.def, x.shape)
		if !ok || start[0] != 0 || start[1] != 0 || x.shape[0] != v.shape[0] || x.shape[1] != v.shape[1] || by[2] < 1 || by[3] < 1 {
			return nil, at, 0, false
		}
		for i := range at {
			at[i] = start[2+i] + by[2+i]*at[i]
			steps[i] *= by[2+i]
		}
		v = x
	}
	step = steps[0]
	if step < 2 || steps[1] != step || len(v.shape) != 4 || v.konst != nil {
		return nil, at, 0, false
	}
	for i, a := range at {
		if a >= step || shape[2+i]*step != v.shape[2+i] {
			return nil, at, 0, false
		}
	}
	return v, at, step, true
}
