package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A layerNorm normalises rows: (x−mean)/√(var+eps)·gamma + beta.
type layerNorm struct {
	gamma, beta []float32 // of a row's length; beta may be nil
	eps         float32
	rms         bool // no mean: x/√(mean of squares+eps)·gamma
}

// lowerLayerNorm emits a "layer norm" node.
func lowerLayerNorm(lw *lowerer, n *node) bool {
	s, level := n.spec.(*layerNorm), lw.level
	if s.rms {
		lw.emitRows(n, "f32 RMSNorm", rowMajor, len(s.gamma), func(dst, x []float32) { level.RMSNormRows(dst, x, s.gamma, s.eps) })
		return true
	}
	lw.emitRows(n, "f32 LayerNorm", rowMajor, len(s.gamma), func(dst, x []float32) { level.LayerNormRows(dst, x, s.gamma, s.beta, s.eps) })
	return true
}

// rmsNorms lists the operators that normalise without a mean.
var rmsNorms = map[string]bool{"RMSNormalization": true, "SimplifiedLayerNormalization": true}

// findLayerNorms turns LayerNormalization and those without a mean, by constant operands, into "layer norm" nodes.
func findLayerNorms(g *net) {
	for _, n := range g.nodes {
		if n.kind != "LayerNormalization" && !rmsNorms[n.kind] || !n.static() || !n.in[0].is(tensor.Float32) || !n.out[0].is(tensor.Float32) || n.out[0].elems() == 0 {
			continue
		}
		if len(n.out) > 1 && (n.out[1] != nil || len(n.out) > 2 && n.out[2] != nil) {
			continue
		}
		axis := n.onnx.Int("axis", -1)
		if axis < 0 {
			axis += len(n.in[0].shape)
		}
		if axis < 0 || axis > len(n.in[0].shape) || !broadcasts(n.in[1].shape, n.in[0].shape) {
			continue // the definition judges it
		}
		cols := tensor.Elements(n.in[0].shape[axis:])
		gamma, ok := rowOf(n.in[1], cols)
		s := &layerNorm{gamma: gamma, eps: n.onnx.Float("epsilon", 1e-5), rms: rmsNorms[n.kind]}
		if b := n.input(2); ok && b != nil {
			s.beta, ok = rowOf(b, cols)
		}
		if ok {
			n.become("layer norm", s, n.in[0])
		}
	}
}

// lowerNorm emits BatchNormalization by constants.
func lowerNorm(lw *lowerer, n *node) bool {
	x := n.in[0]
	if !x.is(tensor.Float32) || len(x.shape) < 2 || x.elems() == 0 || n.onnx.Bool("training_mode", false) {
		return false
	}
	c := x.shape[1]
	f, shift, ok := normOf(n, c)
	if !ok {
		return false
	}
	level := lw.level
	l, has := lw.natural(x)
	if has && l == rowMajor && len(x.shape) > 2 {
		plane := tensor.Elements(x.shape[2:])
		lw.emitPlanes(n, plane, func(dst, x []float32, ch int) { level.UnaryWith(kernel.ScaleShift, dst, x, f[ch], shift[ch]) })
		return true
	}
	lw.emitRows(n, "f32 BatchNormalization", channelsLast, c, func(dst, x []float32) { level.AffineRows(dst, x, f, shift, -inf, inf) })
	return true
}

// emitPlanes adds a step that works on the planes of each channel in row-major order.
func (lw *lowerer) emitPlanes(n *node, plane int, run func(dst, x []float32, channel int)) {
	x := lw.use(n.in[0], rowMajor)
	dst := lw.make(n.out[0], rowMajor)
	c := n.in[0].shape[1]
	planes := n.in[0].elems() / plane
	parts := lw.partsFor(float64(plane*planes)*functionNanos, planes)
	lw.emit(&step{node: n, kernel: "f32 " + n.kind, parts: parts, in: []*slot{x}, out: []*slot{dst}, run: func(f *frame, part int) error {
		for i := planes * part / parts; i < planes*(part+1)/parts; i++ {
			run(f.f32(dst)[i*plane:][:plane], f.f32(x)[i*plane:][:plane], i%c)
		}
		return nil
	}})
}
