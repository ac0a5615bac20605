package repair

import (
	"math"
	"testing"
)

// TestHadamard holds that the factors are Hadamard matrices whose first columns are all ones, of the sizes that
// there are.
func TestHadamard(t *testing.T) {
	for size, want := range map[int]bool{2: true, 8: true, 12: true, 20: true, 64: true, 288: true, 384: true, 768: true, 3: false, 6: false, 172: false} {
		list := hadamardFactors(size)
		if (list != nil) != want {
			t.Errorf("size %d: %d factors", size, len(list))
		}
		n := 1
		for _, h := range list {
			m := int(math.Sqrt(float64(len(h))))
			n *= m
			for i := range m {
				if h[i*m] != 1 {
					t.Fatalf("size %d: row %d of a factor begins with %g", size, i, h[i*m])
				}
				for j := range m {
					dot := 0.0
					for k := range m {
						dot += h[i*m+k] * h[j*m+k]
					}
					if wanted := float64(m) * b2f(i == j); dot != wanted {
						t.Fatalf("size %d: rows %d and %d of a factor give %g", size, i, j, dot)
					}
				}
			}
		}
		if want && n != size {
			t.Errorf("factors of %d make %d", size, n)
		}
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// TestRotation holds that rotations keep products, spread a single large number evenly, and that steady ones keep
// the mean.
func TestRotation(t *testing.T) {
	for _, size := range []int{8, 12, 64, 384, 6} {
		for _, steady := range []bool{false, true} {
			r := newRotation(size, steady, 7)
			rows := make([][]float64, size)
			for i := range rows {
				rows[i] = make([]float64, size)
				rows[i][i] = 1
				r.apply(rows[i])
			}
			for i := range rows {
				sum := 0.0
				for j, v := range rows[i] {
					sum += v
					if most := 5 / math.Sqrt(float64(r.size)); math.Abs(v) > most {
						t.Errorf("size %d: %g at %d,%d", size, v, i, j)
					}
				}
				if steady && math.Abs(sum-1) > 1e-9 {
					t.Errorf("size %d: the mean of row %d becomes %g of it", size, i, sum)
				}
				for j := range rows {
					d := 0.0
					for k := range size {
						d += rows[i][k] * rows[j][k]
					}
					if math.Abs(d-b2f(i == j)) > 1e-9 {
						t.Fatalf("size %d: rows %d and %d give %g", size, i, j, d)
					}
				}
			}
		}
	}
	if newRotation(7, false, 1) != nil {
		t.Error("rows of 7 have a rotation")
	}
}
