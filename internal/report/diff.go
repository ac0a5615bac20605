// Package report measures how far two networks differ, and writes what it found for people.
package report

import (
	"encoding/json"
	"fmt"
	"math"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// A Diff gathers the difference between pairs of tensors: a reference x and its approximation y.
// The zero value is empty. Sums are float64 in the order in which pairs are added.
type Diff struct {
	n                    int
	signal, noise, other float64 // Σx², Σ(x−y)², Σy²
	dot                  float64 // Σxy
	maxAbs               float64
	broken               int // elements that are not both finite, nor the same
	apart                int // pairs of tensors of other sizes, which cannot be compared
}

// Add compares two slices of the same length.
func (d *Diff) Add(x, y []float32) {
	d.n += len(x)
	signal, noise, other, dot, most := d.signal, d.noise, d.other, d.dot, d.maxAbs // in registers
	for i, v := range x {
		a, b := float64(v), float64(y[i])
		e := a - b
		if e-e != 0 { // one of the two is not finite
			if a != b && (a == a || b == b) {
				d.broken++
			}
			continue
		}
		signal += a * a // exact: a product of two float32 fits a float64
		noise += float64(e * e)
		other += b * b
		dot += a * b
		if e = math.Abs(e); e > most {
			most = e
		}
	}
	d.signal, d.noise, d.other, d.dot, d.maxAbs = signal, noise, other, dot, most
}

// MarshalJSON writes all that was gathered as a list of numbers, which are finite.
func (d Diff) MarshalJSON() ([]byte, error) {
	return json.Marshal([]float64{float64(d.n), d.signal, d.noise, d.other, d.dot, d.maxAbs, float64(d.broken), float64(d.apart)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Diff) UnmarshalJSON(b []byte) error {
	var x []float64
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	if len(x) != 8 {
		return fmt.Errorf("a difference has 8 numbers, here are %d", len(x))
	}
	*d = Diff{int(x[0]), x[1], x[2], x[3], x[4], x[5], int(x[6]), int(x[7])}
	return nil
}

// Merge adds what o gathered.
func (d *Diff) Merge(o Diff) {
	d.n += o.n
	d.signal += o.signal
	d.noise += o.noise
	d.other += o.other
	d.dot += o.dot
	d.maxAbs = max(d.maxAbs, o.maxAbs)
	d.broken += o.broken
	d.apart += o.apart
}

// Exact is the SQNR of values that are equal, in dB: JSON has no infinity.
const Exact = 999

// SQNR is the signal to quantization noise ratio in dB, Σx² over Σ(x−y)², within ±Exact: -Exact where all tensors have
// other sizes than their counterparts.
func (d *Diff) SQNR() float64 {
	switch {
	case d.n == 0 && d.apart > 0:
		return -Exact
	case d.noise == 0 && d.broken == 0:
		return Exact
	case d.signal == 0 || d.broken > 0:
		return -Exact
	}
	return max(-Exact, min(Exact, 10*math.Log10(d.signal/d.noise)))
}

// Cosine is the cosine of the angle between the two: 1 where both are zero, and 0, as of vectors without likeness, where an element is
// not finite in one alone or all tensors have other sizes than their counterparts.
func (d *Diff) Cosine() float64 {
	if d.broken > 0 || d.n == 0 && d.apart > 0 {
		return 0
	}
	if d.signal == 0 || d.other == 0 {
		if d.signal == d.other {
			return 1
		}
		return 0
	}
	return d.dot / math.Sqrt(d.signal*d.other)
}

// Unbounded is the largest difference where one of two elements is not finite: JSON has no infinity.
const Unbounded = math.MaxFloat64

// MaxAbs is the largest absolute difference.
func (d *Diff) MaxAbs() float64 {
	if d.broken > 0 {
		return Unbounded
	}
	return d.maxAbs
}

// Largest writes a largest difference.
func Largest(v float64) string {
	if v == Unbounded {
		return "infinite"
	}
	return fmt.Sprintf("%.4g", v)
}

// Noise is the squared difference, Σ(x−y)².
func (d *Diff) Noise() float64 { return d.noise }

// Apart is how many pairs of tensors could not be compared, for their sizes differ.
func (d *Diff) Apart() int { return d.apart }

// Len is the number of elements compared.
func (d *Diff) Len() int { return d.n }

// ArgMax returns the index of the largest element, the first on ties; -1 where there is none
// or one is NaN.
func ArgMax(x []float32) int {
	best := -1
	for i, v := range x {
		if v != v {
			return -1
		}
		if best < 0 || v > x[best] {
			best = i
		}
	}
	return best
}

// Floats returns the elements of a tensor of floats in float32, and nil for any other type, such as those of codes.
func Floats(t *tensor.Tensor) []float32 {
	if t == nil || t.Kind != tensor.Dense {
		return nil
	}
	switch t.DType {
	case tensor.Float32:
		return tensor.Of[float32](t)
	case tensor.Float16, tensor.BFloat16, tensor.Float64:
		x, err := format.Floats(t)
		if err != nil {
			return nil
		}
		return narrowed(x)
	}
	return nil
}

// narrowed rounds numbers to float32.
func narrowed(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// InTop says whether element i is among the k largest of x; of equal elements the first counts as
// the largest, as in ArgMax.
func InTop[T float32 | float64](x []T, i, k int) bool {
	if i < 0 || i >= len(x) || x[i] != x[i] {
		return false
	}
	above := 0
	for j, v := range x {
		if v > x[i] || v == x[i] && j < i {
			above++
		}
	}
	return above < k
}
