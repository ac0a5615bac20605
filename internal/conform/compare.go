package conform

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// A Tolerance says how far a computed number g may lie from the wanted one w:
// |g-w| ≤ Abs + Rel·|w| + Scale·max|w|, the maximum over the finite numbers of the tensor.
type Tolerance struct{ Rel, Abs, Scale float64 }

// Compare returns nil if got equals want: the same type and shape, numbers within tol (NaN
// equals NaN), strings and bools exactly, sequences and optionals item by item.
func Compare(got, want *tensor.Tensor, tol Tolerance) error {
	if got.Kind != want.Kind {
		return fmt.Errorf("is %s, want %s", got, want)
	}
	if got.Kind == tensor.Dense {
		return compareDense(got, want, tol)
	}
	if len(got.Items) != len(want.Items) {
		return fmt.Errorf("holds %d items, want %d", len(got.Items), len(want.Items))
	}
	for i, g := range got.Items {
		if err := Compare(g, want.Items[i], tol); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	return nil
}

// sameType says whether two values have the same types and shapes throughout.
func sameType(a, b *tensor.Tensor) bool {
	if a.Kind != b.Kind || a.DType != b.DType || !slices.Equal(a.Shape, b.Shape) || len(a.Items) != len(b.Items) {
		return false
	}
	for i := range a.Items {
		if !sameType(a.Items[i], b.Items[i]) {
			return false
		}
	}
	return true
}

func compareDense(got, want *tensor.Tensor, tol Tolerance) error {
	if !sameType(got, want) {
		return fmt.Errorf("is %s, want %s", got, want)
	}
	if got.DType == tensor.String {
		for i, s := range got.Str {
			if s != want.Str[i] {
				return fmt.Errorf("element %d of %d is %q, want %q", i, len(got.Str), s, want.Str[i])
			}
		}
		return nil
	}
	g, err := numbers(got)
	if err != nil {
		return err
	}
	w, err := numbers(want)
	if err != nil {
		return err
	}
	return compareNumbers(g, w, tol)
}

// numbers returns the elements as float64, complex ones as pairs.
func numbers(t *tensor.Tensor) ([]float64, error) {
	pair := *t
	switch t.DType {
	case tensor.Complex64:
		pair.DType = tensor.Float32
	case tensor.Complex128:
		pair.DType = tensor.Float64
	default:
		return format.Floats(t)
	}
	pair.Shape = []int{2 * t.Len()}
	return format.Floats(&pair)
}

func compareNumbers(got, want []float64, tol Tolerance) error {
	largest := 0.0
	for _, w := range want {
		if a := math.Abs(w); tol.Scale > 0 && a > largest && !math.IsInf(a, 0) {
			largest = a
		}
	}
	bad, first, worst := 0, 0, 0.0
	for i, w := range want {
		if within(got[i], w, tol.Abs+tol.Rel*math.Abs(w)+tol.Scale*largest) {
			continue
		}
		if bad++; bad == 1 {
			first = i
		}
		worst = max(worst, math.Abs(got[i]-w))
	}
	if bad == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d elements differ, by up to %.4g; element %d is %.9g, want %.9g",
		bad, len(want), worst, first, got[first], want[first])
}

func within(g, w, slack float64) bool {
	return g == w || g != g && w != w || math.Abs(g-w) <= slack && !math.IsInf(w, 0)
}
