package quantize

import (
	"errors"
	"slices"
	"testing"
)

// TestFewest finds the least number that is enough, and none where there is none.
func TestFewest(t *testing.T) {
	for from := range 4 {
		for most := from; most < from+9; most++ {
			for least := from; least <= most+1; least++ {
				asked := 0
				r, err := fewest(from, most, func(k int) (*relief, error) {
					asked++
					return &relief{enough: k >= least, gate: &Gate{Samples: k}}, nil
				})
				if err != nil || (r == nil) != (least > most) || r != nil && r.gate.Samples != least || asked > 4 {
					t.Errorf("from %d to %d, %d are enough: found %+v after %d tries (%v)", from, most, least, r, asked, err)
				}
			}
		}
	}
	broken := errors.New("broken")
	if r, err := fewest(1, 3, func(k int) (*relief, error) {
		if k < 2 {
			return nil, broken
		}
		return &relief{enough: true}, nil
	}); r != nil || err != broken {
		t.Errorf("%v, %v", r, err)
	}
	if got := noisiest([]string{"a", "b", "c", "d"}, map[string]float64{"b": 2, "d": 3}); !slices.Equal(got, []string{"d", "b", "a", "c"}) {
		t.Errorf("the noisiest are %v", got)
	}
}
