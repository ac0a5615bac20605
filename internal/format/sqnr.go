package format

import (
	"math"
	"math/rand/v2"

	"lowbit/internal/tensor"
)

// SQNR is the ratio in dB of the power of x to that of the difference to y; 999 where they are equal.
func SQNR(x, y []float32) float64 {
	var r ratio
	r.add(x, y)
	return r.dB()
}

// A ratio adds up what SQNR is the ratio of.
type ratio struct{ signal, noise float64 }

func (r *ratio) add(x, y []float32) {
	for i, v := range x {
		d := float64(v) - float64(y[i])
		r.signal += float64(v) * float64(v)
		r.noise += d * d
	}
}

func (r *ratio) dB() float64 {
	switch {
	case r.noise == 0:
		return 999
	case r.signal == 0:
		return 0
	}
	return 10 * math.Log10(r.signal/r.noise)
}

// A Distribution is a shape that weights come in.
type Distribution struct {
	Name     string
	quantile func(p float64) float64 // of variance one
}

// Distributions are those that formats are judged by.
var Distributions = []Distribution{
	{"gaussian", func(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }},
	{"laplace", func(p float64) float64 {
		if p < 0.5 {
			return math.Log(2*p) / math.Sqrt2
		}
		return -math.Log(2*(1-p)) / math.Sqrt2
	}},
}

// sampleRow and sampleRows are the size of the sample: so many channels of so many weights.
const sampleRows, sampleRow = 16, 2048

// Sample returns numbers that have the distribution as exactly as so many can, in an order that
// looks random and is always the same, as a tensor (16,2048).
func (d Distribution) Sample() *tensor.Tensor {
	x := make([]float32, sampleRows*sampleRow)
	for i := range x {
		x[i] = float32(d.quantile((float64(i) + 0.5) / float64(len(x))))
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
	return tensor.Float32s(x, sampleRows, sampleRow)
}

// SampleSQNR is the ratio that weights of a distribution keep in the format, in its default block.
func (f *Format) SampleSQNR(d Distribution) float64 {
	t := d.Sample()
	b := f.WeightBlock()
	if b.Kind == Group {
		b.Axis = 1
	}
	x := tensor.Of[float32](t)
	p, err := f.FitTensor(x, t.Shape, b)
	if err != nil {
		return math.NaN()
	}
	codes, err := f.QuantizeTensor(t, b, p)
	if err != nil {
		return math.NaN()
	}
	back, err := f.DequantizeTensor(codes, b, p)
	if err != nil {
		return math.NaN()
	}
	return SQNR(x, tensor.Of[float32](back))
}
