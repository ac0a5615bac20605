package report

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Diffs are the differences of a network's outputs, each by itself and in their order; those that are no floats have none, unless none is.
// Together they are worth what the worst of them is: numbers of pixels beside probabilities would leave these no say.
type Diffs []Diff

// Add compares the outputs of two runs and returns 1 if the first that is compared agrees in both, else 0: of floats the largest
// element is at the same place, of whole numbers, such as classes, all are equal. Outputs of other sizes are left out: those of a
// network that computes them from its values, such as the durations of speech, may come out longer or shorter.
func (d *Diffs) Add(outs []*graph.Value, a, b map[string]*tensor.Tensor) int {
	if *d == nil {
		*d = make(Diffs, len(outs))
	}
	read, agrees := floats, sameClass
	if !slices.ContainsFunc(outs, func(v *graph.Value) bool { return Floats(a[v.Name]) != nil && Floats(b[v.Name]) != nil }) {
		read, agrees = whole, slices.Equal[[]float32]
	}
	agree, first := 1, true
	for i, v := range outs {
		x, y := read(a[v.Name], b[v.Name])
		switch {
		case x == nil || y == nil:
			continue
		case len(x) != len(y):
			(*d)[i].apart++
		default:
			(*d)[i].Add(x, y)
		}
		if first && (len(x) != len(y) || !agrees(x, y)) {
			agree = 0
		}
		first = false
	}
	return agree
}

// sameClass says whether the largest elements are at the same place.
func sameClass(x, y []float32) bool { return ArgMax(x) == ArgMax(y) }

func floats(a, b *tensor.Tensor) (x, y []float32) { return Floats(a), Floats(b) }

// whole returns the whole numbers or truth values of two tensors to be compared, nil of any other type. What codes hold, such as
// the bytes of an image, are quantities; other whole numbers, such as classes, are right or wrong, one or zero beside a one.
func whole(a, b *tensor.Tensor) (x, y []float32) {
	if x, y = wholeNumbers(a), wholeNumbers(b); x == nil || y == nil || len(x) != len(y) || a.DType != tensor.Bool && a.DType.Bits() <= 16 {
		return x, y
	}
	for i := range x {
		if x[i] == y[i] {
			x[i], y[i] = 1, 1
		} else {
			x[i], y[i] = 1, 0
		}
	}
	return x, y
}

func wholeNumbers(t *tensor.Tensor) []float32 {
	if t == nil || t.Kind != tensor.Dense || !t.DType.IsInt() && t.DType != tensor.Bool {
		return nil
	}
	x, err := format.Floats(t)
	if err != nil {
		return nil
	}
	return narrowed(x)
}

// Merge adds what o gathered of the same outputs.
func (d *Diffs) Merge(o Diffs) {
	if *d == nil {
		*d = make(Diffs, len(o))
	}
	for i := range o {
		(*d)[i].Merge(o[i])
	}
}

// sum takes all outputs for one.
func (d Diffs) sum() (all Diff) {
	for _, x := range d {
		all.Merge(x)
	}
	return all
}

// count is how many outputs could be compared.
func (d Diffs) count() (n int) {
	for _, x := range d {
		if x.n > 0 {
			n++
		}
	}
	return n
}

// SQNR is the lowest of the outputs' signal to quantization noise ratios in dB. The noise of an output that is always zero in the
// first network is held against the signal of all.
func (d Diffs) SQNR() float64 { return d.Within(d) }

// Within is the SQNR of some of the samples of all, where each has its share of the signal that all have: what is nearly zero
// in one sample, as a probability may be, counts as it does over all samples. Of a single output each has its own signal.
func (d Diffs) Within(all Diffs) float64 {
	several, sum, total := all.count() > 1, d.sum(), all.sum()
	if sum.n == 0 {
		return sum.SQNR()
	}
	worst := float64(Exact)
	for i, x := range d {
		if x.n == 0 {
			continue
		}
		if several {
			share := float64(x.n) / float64(all[i].n)
			if x.signal = all[i].signal * share; x.signal == 0 {
				x.signal = total.signal * share
			}
		}
		worst = min(worst, x.SQNR())
	}
	return worst
}

// Cosine is the lowest of the cosines of the outputs that could be compared, 0 where none could for their sizes.
func (d Diffs) Cosine() float64 {
	least := 1.0
	if all := d.sum(); all.n == 0 {
		return all.Cosine()
	}
	for _, x := range d {
		if x.n > 0 {
			least = min(least, x.Cosine())
		}
	}
	return least
}

// MaxAbs is the largest absolute difference.
func (d Diffs) MaxAbs() float64 { all := d.sum(); return all.MaxAbs() }

// Apart is how many outputs could not be compared, for their sizes differ.
func (d Diffs) Apart() int { all := d.sum(); return all.apart }

// Len is the number of elements compared.
func (d Diffs) Len() int { all := d.sum(); return all.n }
