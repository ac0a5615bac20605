package engine

import (
	"math"
	"math/bits"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

const (
	fourierNanos = 2       // of a stage of a number, roughly
	fourierLanes = 8       // signals that lie side by side and are transformed together
	mostFourier  = 1 << 20 // the longest transform that is prepared
)

// A fourierPlan transforms signals of real or complex numbers in float64.
type fourierPlan struct {
	*kernel.Fourier
	in, length, out int  // numbers of a signal that are read, of the transform, and that are kept of it
	parts, outParts int  // of a number
	mirror          bool // what is read is the first half of a spectrum, and the other its mirrored conjugate
	scale           float64
	step, outStep   int // between the numbers of a signal, in parts

	// A transform of 2n real numbers is one of n complex ones, of whose even and odd parts these turns make it.
	turns []complex128
}

// prepare finds the transform for the lengths. Lines of twos are halved where all of them are read.
func (p *fourierPlan) prepare(inverse bool) {
	n, sign := p.length, -1.0
	p.scale = 1
	if inverse {
		sign, p.scale = 1, 1/float64(n)
	}
	if p.parts == 1 && !p.mirror && n%2 == 0 {
		n /= 2
		for k := range n {
			sin, cos := math.Sincos(sign * math.Pi * float64(k) / float64(n))
			p.turns = append(p.turns, complex(cos, sin))
		}
	}
	p.Fourier = kernel.NewFourier(n, sign)
}

// nanos is the time of one signal, roughly.
func (p *fourierPlan) nanos() float64 {
	return float64(p.Room()*bits.Len(uint(p.length))) * fourierNanos
}

// run transforms signals that lie side by side, weighed by a window where there is one.
func (p *fourierPlan) run(dst, src, window []float32, room []complex128, lanes int) {
	if p.turns != nil {
		p.readPairs(src, window, room, lanes)
	} else {
		p.read(src, window, room, lanes)
	}
	z := p.Transform(room, lanes)
	if p.turns != nil {
		p.writePairs(dst, z, lanes)
	} else {
		p.write(dst, z, lanes)
	}
}

// read lays signals out, cut or padded with zeros to the length.
func (p *fourierPlan) read(src, window []float32, room []complex128, lanes int) {
	clear(room[:p.length*lanes])
	for k := range p.in {
		from, to := src[k*p.step:], room[k*lanes:][:lanes]
		w := weightAt(window, k)
		for i := range to {
			if p.parts == 2 {
				to[i] = complex(float64(from[2*i])*w, float64(from[2*i+1])*w)
			} else {
				to[i] = complex(float64(from[i])*w, 0)
			}
		}
		if p.mirror && k > 0 && k < p.length-k {
			for i, v := range to {
				room[(p.length-k)*lanes+i] = complex(real(v), -imag(v))
			}
		}
	}
}

func weightAt(window []float32, k int) float64 {
	if window == nil {
		return 1
	}
	return float64(window[k])
}

// readPairs makes the even numbers of a real signal the real part and the odd ones the imaginary part.
func (p *fourierPlan) readPairs(src, window []float32, room []complex128, lanes int) {
	clear(room[:p.length/2*lanes])
	for k := range p.in {
		w := weightAt(window, k)
		to := room[k/2*lanes:][:lanes]
		for i, v := range src[k*p.step:][:lanes] {
			if k%2 == 0 {
				to[i] = complex(float64(v)*w, 0)
			} else {
				to[i] = complex(real(to[i]), float64(v)*w)
			}
		}
	}
}

func (p *fourierPlan) write(dst []float32, z []complex128, lanes int) {
	for k := range p.out {
		for i, v := range z[k*lanes:][:lanes] {
			p.put(dst, k, i, v)
		}
	}
}

// put writes number k of the result of signal i.
func (p *fourierPlan) put(dst []float32, k, i int, v complex128) {
	to := dst[k*p.outStep+i*p.outParts:][:p.outParts]
	to[0] = float32(real(v) * p.scale)
	if p.outParts == 2 {
		to[1] = float32(imag(v) * p.scale)
	}
}

// writePairs takes the transforms of even and odd numbers apart and sums them.
func (p *fourierPlan) writePairs(dst []float32, z []complex128, lanes int) {
	n := len(p.turns)
	for k := range min(p.out, n+1) {
		w := complex(-1, 0)
		if k < n {
			w = p.turns[k]
		}
		for i := range lanes {
			a, b := z[k%n*lanes+i], z[(n-k)%n*lanes+i]
			even := complex(real(a)+real(b), imag(a)-imag(b))
			odd := complex(imag(a)+imag(b), real(b)-real(a))
			re := real(even) + float64(real(odd)*real(w)) - float64(imag(odd)*imag(w))
			im := imag(even) + float64(real(odd)*imag(w)) + float64(imag(odd)*real(w))
			p.put(dst, k, i, complex(re/2, im/2))
			if other := p.length - k; other > k && other < p.out {
				p.put(dst, other, i, complex(re/2, -im/2))
			}
		}
	}
}

// lowerDFT emits transforms along an axis.
func lowerDFT(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	last, axis := len(x.shape)-1, n.onnx.Int("axis", 1)
	if n.version >= 20 {
		axis = -2
		if v, ok := intsOf(n.input(2)); ok && len(v) == 1 {
			axis = v[0]
		} else if n.input(2) != nil {
			return false
		}
	}
	if axis < 0 {
		axis += last + 1
	}
	if !x.is(tensor.Float32) || axis < 0 || axis >= last || x.elems() == 0 || y.elems() == 0 {
		return false
	}
	p := &fourierPlan{in: x.shape[axis], length: x.shape[axis], out: y.shape[axis], parts: x.shape[last], outParts: 2}
	inverse, onesided := n.onnx.Bool("inverse", false), n.onnx.Bool("onesided", false)
	if p.mirror = inverse && onesided; p.mirror {
		p.outParts, p.length = 1, 2*(p.in-1)
	}
	if v, ok := intsOf(n.input(1)); ok && len(v) == 1 {
		p.length = v[0]
	} else if n.input(1) != nil {
		return false
	}
	if p.length < 1 || p.length > mostFourier || p.parts != 1 && p.parts != 2 {
		return false
	}
	want := slices.Clone(x.shape)
	want[axis], want[last] = p.length, p.outParts
	p.in = min(p.in, p.length)
	switch half := p.length/2 + 1; {
	case p.mirror:
		p.in = min(p.in, half)
	case onesided:
		want[axis] = half
	}
	if !sameShape(y.shape, want) {
		return false
	}
	p.prepare(inverse)
	p.emit(lw, n, tensor.Elements(x.shape[:axis]), tensor.Elements(x.shape[axis+1:last]))
	return true
}

// emit adds the step that transforms signals of which inner lie side by side.
func (p *fourierPlan) emit(lw *lowerer, n *node, outer, inner int) {
	p.step, p.outStep = inner*p.parts, inner*p.outParts
	src, dst := lw.use(n.in[0], rowMajor), lw.make(n.out[0], rowMajor)
	lanes := min(inner, fourierLanes)
	groups := (inner + lanes - 1) / lanes
	size, outSize := n.in[0].elems()/outer, n.out[0].elems()/outer
	parts := lw.partsFor(float64(outer*inner)*p.nanos(), outer*groups)
	each := p.Room() * lanes
	room := lw.scratch(tensor.Complex128, parts*each)
	lw.emit(&step{node: n, kernel: "f32 Fourier", parts: parts, in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		own := tensor.Of[complex128](f.vals[room.id])[part*each:][:each]
		for i := outer * groups * part / parts; i < outer*groups*(part+1)/parts; i++ {
			at := i % groups * lanes
			p.run(f.f32(dst)[i/groups*outSize+at*p.outParts:], f.f32(src)[i/groups*size+at*p.parts:], nil, own, min(lanes, inner-at))
		}
		return nil
	}})
}

// lowerSTFT emits the transforms of frames of signals.
func lowerSTFT(lw *lowerer, n *node) bool {
	x, window, y := n.in[0], n.input(2), n.out[0]
	hop, ok := intsOf(n.in[1])
	if !ok || len(hop) != 1 || hop[0] < 1 || hop[0] > mostFourier || !x.is(tensor.Float32) || len(x.shape) != 3 || x.elems() == 0 || y.elems() == 0 {
		return false
	}
	p := &fourierPlan{length: x.shape[1], parts: x.shape[2], outParts: 2}
	if window != nil {
		p.length = window.elems()
	}
	if v, ok := intsOf(n.input(3)); ok && len(v) == 1 {
		p.length = v[0]
	} else if n.input(3) != nil {
		return false
	}
	if p.length < 1 || p.length > min(x.shape[1], mostFourier) || p.parts != 1 && p.parts != 2 || window != nil && (!window.is(tensor.Float32) || !sameShape(window.shape, []int{p.length})) {
		return false
	}
	p.in, p.out = p.length, p.length
	if n.onnx.Bool("onesided", true) {
		p.out = p.length/2 + 1
	}
	p.step, p.outStep = p.parts, 2
	count := (x.shape[1]-p.length)/hop[0] + 1
	if !sameShape(y.shape, []int{x.shape[0], count, p.out, 2}) {
		return false
	}
	p.prepare(false)
	p.emitFrames(lw, n, count, hop[0])
	return true
}

// emitFrames adds the step that transforms count frames of each signal.
func (p *fourierPlan) emitFrames(lw *lowerer, n *node, count, hop int) {
	src, dst := lw.use(n.in[0], rowMajor), lw.make(n.out[0], rowMajor)
	in := []*slot{src}
	var window *slot
	if w := n.input(2); w != nil {
		window = lw.use(w, rowMajor)
		in = append(in, window)
	}
	frames, size := n.in[0].shape[0]*count, n.in[0].shape[1]*p.parts
	parts, each := lw.partsFor(float64(frames)*p.nanos(), frames), p.Room()
	room := lw.scratch(tensor.Complex128, parts*each)
	lw.emit(&step{node: n, kernel: "f32 Fourier", parts: parts, in: in, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		var weights []float32
		if window != nil {
			weights = f.f32(window)
		}
		for i := frames * part / parts; i < frames*(part+1)/parts; i++ {
			from := f.f32(src)[i/count*size+i%count*hop*p.parts:]
			p.run(f.f32(dst)[i*p.out*2:], from, weights, tensor.Of[complex128](f.vals[room.id])[part*each:][:each], 1)
		}
		return nil
	}})
}
