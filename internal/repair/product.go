package repair

import (
	"context"

	"lowbit/internal/calib"
	"lowbit/internal/kernel"
)

// product multiplies a (m,sum) with w, whose element for column j and addend i is at j·o.N + i·o.K:
// (m,n). The number of threads does not change the result.
func product(ctx context.Context, level kernel.Level, threads int, a []float32, m int, w []float32, n, sum int, o kernel.Order) []float32 {
	y := make([]float32, m*n)
	p := level.PackF32(w, n, sum, 1, o)
	out := &kernel.OutF32{C: y, Ldc: n}
	ranges := p.Split(m, threads)
	_ = calib.Each(ctx, len(ranges), threads, func(_ context.Context, i int) error {
		p.Gemm(a, sum, out, ranges[i])
		return nil
	})
	return y
}
