package dataset

import (
	"fmt"
	"io/fs"
	"math/bits"
	"math/rand/v2"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

const randomPrefix = "random:"

var randomForm = form{
	name:   "random",
	rule:   "random:normal or random:uniform, numbers that no real data resembles",
	detect: func(path string, st fs.FileInfo) bool { return strings.HasPrefix(path, randomPrefix) },
	open:   openRandom,
}

// distributions make one number from 64 random bits each. They use whole numbers and one exact
// division, so that every machine draws the same.
var distributions = map[string]func(*rand.PCG) float64{
	"uniform": func(r *rand.PCG) float64 { return float64(r.Uint64()>>40) / (1 << 24) },
	"normal":  normal,
}

// normal is the sum of twelve uniform numbers of 16 bits each less its mean: variance 1, and
// nothing beyond ±6.
func normal(r *rand.PCG) float64 {
	sum := -6 * 65535
	for range 3 {
		v := r.Uint64()
		sum += int(v&0xffff) + int(v>>16&0xffff) + int(v>>32&0xffff) + int(v>>48)
	}
	return float64(sum) / 65536
}

const (
	defaultRandom = 100     // samples where no number is asked for
	maxRandom     = 1 << 28 // elements of one input
	randomTokens  = 10      // integers that pick from no table are drawn from 0 to this, less 1
)

// noise is random inputs, each sample from its own stream.
type noise struct {
	inputs []*graph.Value
	shapes [][]int
	whole  []whole // how those of whole numbers are drawn
	draw   func(*rand.PCG) float64
	seed   uint64
	n      int
}

func openRandom(path string, o *Options, info *Info) (reader, error) {
	d := &noise{inputs: o.Inputs, seed: o.Seed, n: o.Samples}
	if d.draw = distributions[strings.TrimPrefix(path, randomPrefix)]; d.draw == nil {
		return nil, fault.Invalidf(path, "the distributions are random:normal and random:uniform")
	}
	if d.n <= 0 {
		d.n = defaultRandom
	}
	if len(d.inputs) == 0 {
		return nil, fault.Invalidf(path, "random data needs a model with inputs")
	}
	for _, v := range d.inputs {
		shape, err := randomShape(v)
		if err != nil {
			return nil, err
		}
		d.shapes = append(d.shapes, shape)
	}
	d.whole = wholeNumbers(d.inputs, d.shapes, o.Tables)
	info.Warnings = append(info.Warnings, path+": ranges measured on random data do not fit real data; use it to try things out, never to ship")
	return d, nil
}

// randomShape is an input's shape with a batch of 1 where the batch is open.
func randomShape(v *graph.Value) ([]int, error) {
	t := v.Type
	if !t.IsTensor() || !t.Ranked || t.DType.Class() == tensor.ClassString || t.DType.Class() == tensor.ClassComplex {
		return nil, fault.Unsupportedf(v.Name, "no random values of type %v", t)
	}
	shape := make([]int, len(t.Shape))
	for i, dim := range t.Shape {
		shape[i] = dim.Size
		if i == 0 && !dim.IsKnown() {
			shape[i] = 1
		}
		if shape[i] < 0 {
			return nil, fault.Invalidf(v.Name, "the model leaves dimension %d of %v open", i, t).
				WithHint("give real data, whose shape says it")
		}
	}
	if n, err := tensor.CheckedElements(shape); err != nil || n > maxRandom {
		return nil, fault.Limitf(v.Name, "%v is too large to draw", t)
	}
	return shape, nil
}

func (d *noise) len() int     { return d.n }
func (d *noise) close() error { return nil }

func (d *noise) sample(i int) (*Sample, error) {
	s := &Sample{Name: fmt.Sprintf("random[%d]", i), Inputs: map[string]*tensor.Tensor{}, Label: -1}
	for k, v := range d.inputs {
		rng := rand.NewPCG(d.seed, bits.RotateLeft64(uint64(k+1), 32)+uint64(i))
		x := make([]float64, tensor.Elements(d.shapes[k]))
		if v.Type.DType.IsFloat() {
			for j := range x {
				x[j] = d.draw(rng)
			}
		} else {
			d.whole[k].fill(x, d.shapes[k], rng)
		}
		t, err := format.FromFloats(v.Type.DType, x, true, d.shapes[k]...)
		if err != nil {
			return nil, fault.At(v.Name, err)
		}
		s.Inputs[v.Name] = t
	}
	return s, nil
}
