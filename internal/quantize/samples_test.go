package quantize

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/tensor"
)

// numbered returns a sample for each number, which alone tells what it holds.
func numbered(ids []int) *dataset.Source {
	return dataset.New(dataset.Info{Form: "made", Path: "numbers", Total: len(ids)}, func(i int) (*dataset.Sample, error) {
		return &dataset.Sample{Inputs: map[string]*tensor.Tensor{"x": tensor.Scalar(float32(ids[i]))}}, nil
	})
}

// TestHoldBack splits samples by what they hold: the same ones are held back in any order.
func TestHoldBack(t *testing.T) {
	for _, c := range []struct{ n, held int }{{1, 1}, {31, 31}, {32, 8}, {100, 10}, {500, 32}} {
		var want []int
		for order := range uint64(3) {
			ids := rand.New(rand.NewPCG(order, 0)).Perm(c.n)
			calibrate, judge, err := holdBack(t.Context(), numbered(ids))
			if err != nil {
				t.Fatal(err)
			}
			if len(judge) != c.held || c.held < c.n && len(calibrate)+len(judge) != c.n {
				t.Fatalf("%d samples: %d to calibrate, %d to judge", c.n, len(calibrate), len(judge))
			}
			var got []int
			for _, i := range judge {
				got = append(got, ids[i])
			}
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d samples, order %d: %v are held back, want %v", c.n, order, got, want)
			}
			for _, i := range calibrate {
				if c.held < c.n && slices.Contains(judge, i) {
					t.Errorf("sample %d is calibrated on and judged by", i)
				}
			}
		}
	}
}
