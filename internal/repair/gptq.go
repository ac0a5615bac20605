package repair

import (
	"cmp"
	"context"
	"slices"

	"lowbit/internal/calib"
)

// GPTQ rounds weights one input after the other, the inputs that matter most first, and lets those
// not yet rounded make up for the error (Frantar et al., GPTQ, 2023). The parameters of every group
// are those of the weights as they were, so that no index of the order has to be stored.
var GPTQ = &Repair{
	Name: "gptq", Doc: "round weights one input after the other, the rest making up for the error", Stage: After, Data: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) { return reround(ctx, j, solveGPTQ) },
}

const (
	damping    = 0.01 // of the mean of the diagonal
	dampingTry = 4    // dampings, each ten times the last
)

func solveGPTQ(ctx context.Context, g *group, threads int) []float64 {
	order := g.byPower()
	u, ok := g.factor(order)
	if !ok {
		g.note = "its inputs do not determine the weights"
		return nil
	}
	k := g.fit.k
	out := make([]float64, len(g.w))
	target := g.target()
	err := calib.Each(ctx, g.fit.rows, threads, func(_ context.Context, o int) error {
		plain := compensate(g, o, g.w[o*k:][:k], u, order)
		best := plain
		if target != nil {
			if other := compensate(g, o, target[o*k:][:k], u, order); g.held.loss(o, other) < g.held.loss(o, plain) {
				best = other
			}
		}
		copy(out[o*k:], best)
		return nil
	})
	if err != nil {
		return nil
	}
	return out
}

// byPower lists the inputs in the order of descending Σx².
func (g *group) byPower() []int {
	k := g.fit.k
	order := make([]int, k)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(g.fit.h[b*(k+1)], g.fit.h[a*(k+1)]) })
	return order
}

// factor returns the upper Cholesky factor of the inverse of Σxxᵀ, damped, with rows and columns in
// that order.
func (g *group) factor(order []int) (u []float64, ok bool) {
	k := g.fit.k
	for try, lambda := 0, damping; try < dampingTry; try, lambda = try+1, lambda*10 {
		a := make([]float64, k*k)
		add := lambda * g.meanDiagonal()
		for i, p := range order {
			row := g.fit.h[p*k:][:k]
			for j, q := range order {
				a[i*k+j] = row[q]
			}
			a[i*k+i] += add
		}
		// H = V·Vᵀ with V upper is the Cholesky factorization of H with its axes turned round, and
		// H⁻¹ = Uᵀ·U with U = V⁻¹.
		slices.Reverse(a)
		if cholesky(a, k) {
			invertLower(a, k)
			slices.Reverse(a)
			return a, true
		}
	}
	return nil, false
}

func (g *group) meanDiagonal() float64 {
	sum := 0.0
	for i := range g.fit.k {
		sum += g.fit.h[i*g.fit.k+i]
	}
	return max(sum/float64(g.fit.k), 1e-12)
}

// compensate rounds one output channel.
func compensate(g *group, o int, w, u []float64, order []int) []float64 {
	k := len(w)
	rest, out := make([]float64, k), make([]float64, k)
	for i, p := range order {
		rest[i] = w[p]
	}
	for i, p := range order {
		q := g.nearest(o*k+p, rest[i])
		out[p] = q
		axpy(rest[i+1:], (q-rest[i])/u[i*k+i], u[i*k+i+1:][:k-i-1])
	}
	return out
}

// target returns the weights that would be best for these inputs if they needed no rounding: they
// make up for what the quantization of the layers before did to the inputs. It is nil where the
// inputs do not determine them.
func (g *group) target() []float64 {
	k := g.fit.k
	l := slices.Clone(g.fit.h)
	add := damping * g.meanDiagonal()
	for i := range k {
		l[i*k+i] += add
	}
	if !cholesky(l, k) {
		return nil
	}
	t := make([]float64, len(g.w))
	for o := range g.fit.rows {
		row := t[o*k:][:k]
		for i := range row {
			row[i] = g.fit.c[o*k+i] + add*g.w[o*k+i]
		}
		solve(l, k, row)
	}
	return t
}
