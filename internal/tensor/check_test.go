package tensor

import "testing"

// TestCheck holds tensors that callers may make to what computes with them relies on.
func TestCheck(t *testing.T) {
	for _, good := range []*Tensor{
		New(Float32), New(Float32, 2, 0), New(Float64, 2, 3), New(Int4, 3), New(Float6E2M3, 5), New(String, 2),
		NewSequence(Float32), NewSequence(Int64, New(Int64, 1), New(Int64)), NewOptional(String, nil), NewOptional(Undefined, nil), NewOptional(Int64, New(Int64, 2)),
	} {
		if err := good.Check(); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for name, bad := range map[string]*Tensor{
		"nothing":             nil,
		"no type":             {Raw: make([]byte, 4)},
		"an unknown type":     {DType: 99, Raw: make([]byte, 4)},
		"an unknown kind":     {DType: Float32, Kind: 7},
		"too few bytes":       {DType: Float32, Shape: []int{2}, Raw: make([]byte, 7)},
		"too many bytes":      {DType: Int4, Shape: []int{3}, Raw: make([]byte, 3)},
		"no bytes":            {DType: Float32},
		"a negative shape":    {DType: Float32, Shape: []int{-1, -1}, Raw: make([]byte, 4)},
		"a vast shape":        {DType: Float32, Shape: []int{1 << 40, 1 << 40}},
		"bits that overflow":  {DType: Complex128, Shape: []int{1 << 57}},
		"too few strings":     {DType: String, Shape: []int{2}, Str: []string{"a"}},
		"a missing item":      {Kind: Sequence, DType: Float32, Items: []*Tensor{nil}},
		"an item not so":      {Kind: Sequence, DType: Float32, Items: []*Tensor{{DType: Float32}}},
		"an item of its kind": {Kind: Sequence, DType: Float32, Items: []*Tensor{New(Int64)}},
		"two options":         {Kind: Optional, DType: Float32, Items: []*Tensor{New(Float32), New(Float32)}},
	} {
		if bad.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}
