package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalSTFT transforms frames of signal (N,L,parts), weighed by the window: (N,frames,bins,2).
func evalSTFT(c *Call) ([]*tensor.Tensor, error) {
	f, err := newFrames(c)
	if err != nil {
		return nil, err
	}
	bins := f.length
	if c.Bool("onesided", true) {
		bins = f.length/2 + 1
	}
	count := (f.signal-f.length)/f.step + 1
	shape := []int{c.In[0].Shape[0], count, bins, 2}
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	y := make([]float64, 0, tensor.Elements(shape))
	for i := range shape[0] * count {
		z := fourier(f.frame(i/count, i%count), -1)
		for k := range bins {
			y = append(y, z.re[k], z.im[k])
		}
	}
	return one(fromFloats(c.In[0].DType, y, shape))
}

// frames are the windows that STFT cuts from its signal.
type frames struct {
	length, step, signal, parts int
	x, window                   []float64
}

// newFrames reads the operands of an STFT node. A frame is as long as input 3 says, else as the
// window, else as the signal.
func newFrames(c *Call) (*frames, error) {
	x := c.In[0]
	if x.Rank() != 3 || x.Shape[2] != 1 && x.Shape[2] != 2 {
		return nil, invalidf("signal of shape %v", x.Shape)
	}
	step, err := c.intScalarOf(1)
	if err != nil {
		return nil, err
	}
	length := int64(x.Shape[1])
	if c.Has(2) {
		length = int64(c.In[2].Len())
	}
	if c.operand(3) != nil {
		if length, err = c.intScalarOf(3); err != nil {
			return nil, err
		}
	}
	if length < 1 || length > int64(x.Shape[1]) || step < 1 || step > maxStep {
		return nil, invalidf("frames of %d every %d in a signal of shape %v", length, step, x.Shape)
	}
	f := &frames{length: int(length), step: int(step), signal: x.Shape[1], parts: x.Shape[2]}
	if err := wantShape("window", c.Input(2), f.length); err != nil {
		return nil, err
	}
	in, err := floatsOf(x, c.Input(2))
	if err != nil {
		return nil, err
	}
	f.x, f.window = in[0], in[1]
	return f, nil
}

// frame returns frame i of signal n, weighed.
func (f *frames) frame(n, i int) spectrum {
	z := newSpectrum(f.length)
	for k := range f.length {
		at, w := (n*f.signal+i*f.step+k)*f.parts, 1.0
		if f.window != nil {
			w = f.window[k]
		}
		z.re[k] = f.x[at] * w
		if f.parts == 2 {
			z.im[k] = f.x[at+1] * w
		}
	}
	return z
}

func inferSTFT(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	dims := append(unknownDims(3), graph.Known(2))
	if !x.Ranked || len(x.Shape) != 3 {
		return Typed(graph.OfDims(x.DType, dims)), nil
	}
	dims[0] = x.Shape[0]
	length := x.Shape[1].Size
	if c.Has(2) {
		length = -1
		if w := c.Input(2); w.Ranked && len(w.Shape) == 1 {
			length = w.Shape[0].Size
		}
	}
	if c.Has(3) {
		length = -1
		if v, ok := c.Ints(3); ok && len(v) == 1 {
			length = v[0]
		}
	}
	if length < 1 {
		return Typed(graph.OfDims(x.DType, dims)), nil
	}
	dims[2] = graph.Known(length)
	if c.Bool("onesided", true) {
		dims[2] = graph.Known(length/2 + 1)
	}
	if step, ok := c.Ints(1); ok && len(step) == 1 && step[0] > 0 && x.Shape[1].Size >= length {
		dims[1] = graph.Known((x.Shape[1].Size-length)/step[0] + 1)
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
