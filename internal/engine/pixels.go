package engine

import "lowbit/internal/tensor"

// Pixels are where the channels of a channels-last value lie in a slot: off elements into each pixel,
// pitch elements from pixel to pixel. A convolution reads a part of the channels in place, and writes
// its part of a concatenation where it belongs.
type pixels struct {
	*slot
	off, pitch int
}

// pixelsOf returns where to read v: within a wider value if it is a part of one, else in its own slot.
func (lw *lowerer) pixelsOf(v *value) pixels {
	if p, ok := lw.parts[v]; ok && (lw.forms[v] == nil || lw.forms[v][channelsLast] == nil) {
		return p
	}
	return pixels{lw.use(v, channelsLast), 0, v.shape[1]}
}

// pixelsFor returns where to write v: within a concatenation if it was given a place in one, else in a
// slot of its own. What is written there is read there too.
func (lw *lowerer) pixelsFor(v *value) pixels {
	at, ok := lw.placed[v]
	if !ok {
		return pixels{lw.make(v, channelsLast), 0, v.shape[1]}
	}
	f := lw.forms[at.whole]
	if f == nil || f[channelsLast] == nil {
		lw.make(at.whole, channelsLast)
	}
	p := pixels{lw.forms[at.whole][channelsLast], at.off, at.whole.shape[1]}
	lw.setPart(v, p)
	return p
}

func (lw *lowerer) setPart(v *value, p pixels) {
	if lw.parts == nil {
		lw.parts = map[*value]pixels{}
	}
	lw.parts[v] = p
}

// A placement gives a value its channels in a concatenation.
type placement struct {
	whole *value
	off   int
}

// placeable lists the kinds of node that may write anywhere.
var placeable = map[string]bool{"conv": true, "int conv": true, "MaxPool": true, "AveragePool": true, "Resize": true, "Upsample": true}

// placeConcats lets nodes write their results directly to their places in concatenations of channels.
func (lw *lowerer) placeConcats() {
	lw.placed = map[*value]placement{}
	for _, n := range lw.net.nodes {
		y := n.out[0]
		if n.kind != "Concat" || !n.static() || len(y.shape) < 3 || concatAxis(n) != 1 || neutral(y.shape) {
			continue
		}
		off := 0
		for _, v := range n.in {
			if _, taken := lw.placed[v]; !taken && placeableIn(v, n) {
				lw.placed[v] = placement{y, off}
			}
			off += v.shape[1]
		}
	}
}

// placeableIn says whether v may be written to its place in the concatenation n, which reads it once: all
// others that read it have to find it there.
func placeableIn(v *value, n *node) bool {
	if v.def == nil || v.pinned || neutral(v.shape) || !placeable[v.def.kind] {
		return false
	}
	times := 0
	for _, u := range v.uses {
		if u == n {
			times++
		} else if !v.is(tensor.Float32) || !readsPixels[u.kind] || u.in[0] != v {
			return false
		}
	}
	return times == 1
}

// readsPixels lists the kinds of node on floats that read operand 0 where it lies.
var readsPixels = map[string]bool{"conv": true, "MaxPool": true, "AveragePool": true, "Resize": true, "Upsample": true}

func concatAxis(n *node) int {
	axis := n.onnx.Int("axis", 1)
	if axis < 0 {
		axis += len(n.out[0].shape)
	}
	return axis
}

// partOf makes y, without a copy, the channels of x from first on.
func (lw *lowerer) partOf(y, x *value, first int) {
	p := lw.pixelsOf(x)
	p.off += first
	lw.setPart(y, p)
}

// gather emits the copy of a value that is a part of a wider one to a slot of its own.
func (lw *lowerer) gather(v *value) *slot {
	p := lw.parts[v]
	dst := lw.make(v, channelsLast)
	lw.emitCopies(lw.reader(v), "gather channels", dst, []*slot{p.slot}, []*copyPlan{p.copyTo(dst.shape, denseStrides(dst.shape), 0)})
	return dst
}

// copyTo plans the copy of all pixels of a shape, in memory order, to some strides.
func (p pixels) copyTo(shape, strides []int, to int) *copyPlan {
	from := make([]int, len(shape))
	from[len(shape)-1] = 1
	for i, step := len(shape)-2, p.pitch; i >= 0; i-- {
		from[i], step = step, step*shape[i]
	}
	return newCopy(shape, strides, from, to, p.off)
}

// reader returns a node to name steps after that only change how v lies in memory.
func (lw *lowerer) reader(v *value) *node {
	if v.def != nil || len(v.uses) == 0 {
		return v.def
	}
	return v.uses[0]
}

// A convIO says where a convolution reads and writes.
type convIO struct {
	im   image
	x, y pixels
	add  *slot // what is added to the sums; nil: nothing
}

// imageAt returns the elements of one of several images from element c on.
func imageAt[T any](all []T, size, i, c int) []T { return all[i*size:][:size][c:] }

// convIO finds the memory of a convolution; its step is st. A convolution that reads something else
// than its operand sets x and im.in itself.
func (lw *lowerer) convIO(n *node, st *step, x pixels) *convIO {
	in, out := n.in[0], n.out[0]
	b := in.shape[0]
	rows := out.elems() / b / out.shape[1]
	io := &convIO{x: x}
	st.in = append(st.in, x.slot)
	if len(n.in) > 1 {
		io.add = lw.use(n.in[1], channelsLast)
		st.in = append(st.in, io.add)
	}
	io.y = lw.pixelsFor(out)
	if x.dtype == tensor.Float32 {
		st.over = io.add // sums of bfloat16 are stored before they are complete
	}
	io.im = image{b, tensor.Elements(in.shape[2:]) * x.pitch, rows * io.y.pitch, rows}
	st.out = append(st.out, io.y.slot)
	return io
}

// merged takes all images for one, where each pixel is on its own.
func (io *convIO) merged() {
	b := io.im.batch
	io.im = image{1, io.im.in * b, io.im.out * b, io.im.rows * b}
}
