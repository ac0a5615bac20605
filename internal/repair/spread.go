package repair

import "lowbit/internal/tensor"

// spread picks up to per elements of each channel of t, evenly spread and the same ones for every
// tensor of that shape: (C,min(per,elements)).
func spread(t *tensor.Tensor, axis, per int) []float32 {
	if axis < 0 {
		axis += t.Rank()
	}
	x := tensor.Of[float32](t)
	n, inner := t.Shape[axis], tensor.Elements(t.Shape[axis+1:])
	at := picks(len(x)/max(1, n), per)
	for i, k := range at {
		at[i] = k/inner*n*inner + k%inner
	}
	y := make([]float32, 0, n*len(at))
	for ch := range n {
		own := x[ch*inner:]
		for _, k := range at {
			y = append(y, own[k])
		}
	}
	return y
}

// picks returns up to n numbers below all, evenly spread.
func picks(all, n int) []int {
	at := make([]int, min(all, n))
	stride := 1
	if n < all {
		stride = coprime(all)
	}
	for k := range at {
		at[k] = k * stride % all
	}
	return at
}

// coprime returns a step near the golden section of n that visits every number below n.
func coprime(n int) int {
	s := max(1, int(float64(n)*0.618))
	for ; gcd(s, n) != 1; s++ {
	}
	return s
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
