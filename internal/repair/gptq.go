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
	Name: "gptq", Doc: "round weights one input after the other, the rest making up for the error", Stage: After, Data: true, Many: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) { return reround(ctx, j, solveGPTQ) },
}

const (
	damping    = 0.01 // of the mean of the diagonal
	dampingTry = 4    // dampings, each ten times the last
)

// caution lists what is added to the diagonal of Σxxᵀ, as shares of itself: where samples are few,
// the more cautious solution is better on others.
var caution = []float64{0, 0.05, 0.3}

func solveGPTQ(ctx context.Context, g *group, threads int) []float64 {
	return g.search(ctx, threads, func(int, []float64, []float64) {})
}

// search solves every output channel with each caution, refines what comes out, and keeps what errs
// least on the samples held back.
func (g *group) search(ctx context.Context, threads int, refine func(o int, q, add []float64)) []float64 {
	k := g.fit.k
	out, least := g.rounded(), make([]float64, g.fit.rows)
	for o := range least {
		least[o] = g.held.loss(o, out[o*k:][:k])
	}
	order := g.byPower()
	solved := false
	for _, share := range caution {
		add := g.penalty(share)
		u, ok := g.factor(order, add)
		if !ok {
			continue
		}
		solved = true
		targets := [][]float64{g.w, g.target(add)}
		err := calib.Each(ctx, g.fit.rows, threads, func(_ context.Context, o int) error {
			for _, t := range targets {
				q := compensate(g, o, t[o*k:][:k], u, order)
				refine(o, q, add)
				if e := g.held.loss(o, q); e < least[o] {
					least[o] = e
					copy(out[o*k:], q)
				}
			}
			return nil
		})
		if err != nil {
			return nil
		}
	}
	if !solved {
		g.note = "its inputs do not determine the weights"
		return nil
	}
	return out
}

// rounded returns the nearest marks.
func (g *group) rounded() []float64 {
	q := make([]float64, len(g.w))
	for i, v := range g.w {
		q[i] = g.nearest(i, v)
	}
	return q
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

// penalty is what is added to the diagonal of Σxxᵀ.
func (g *group) penalty(share float64) []float64 {
	k := g.fit.k
	add, mean := make([]float64, k), 0.0
	for i := range add {
		mean += g.fit.h[i*(k+1)] / float64(k)
	}
	for i := range add {
		add[i] = max(damping*mean, 1e-12) + share*g.fit.h[i*(k+1)]
	}
	return add
}

// factor returns the upper Cholesky factor of the inverse of Σxxᵀ with its diagonal raised, with rows
// and columns in that order. Where the matrix is not definite, the diagonal is raised further.
func (g *group) factor(order []int, add []float64) (u []float64, ok bool) {
	k := g.fit.k
	for try, times := 0, 1.0; try < dampingTry; try, times = try+1, times*10 {
		a := make([]float64, k*k)
		for i, p := range order {
			row := g.fit.h[p*k:][:k]
			for j, q := range order {
				a[i*k+j] = row[q]
			}
			a[i*k+i] += times * add[p]
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

// compensate rounds one output channel: what an input's weight is off, those still to come make up for.
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
// make up for what the quantization of the layers before did to the inputs. Where the inputs do not
// determine them, they are the weights as they are.
func (g *group) target(add []float64) []float64 {
	k := g.fit.k
	l := slices.Clone(g.fit.h)
	for i := range k {
		l[i*k+i] += add[i]
	}
	if !cholesky(l, k) {
		return g.w
	}
	t := make([]float64, len(g.w))
	for o := range g.fit.rows {
		row := t[o*k:][:k]
		for i := range row {
			row[i] = g.fit.c[o*k+i] + add[i]*g.w[o*k+i]
		}
		solve(l, k, row)
	}
	return t
}
