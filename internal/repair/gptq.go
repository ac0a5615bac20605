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
// the more cautious solution is better on others. wary is for groups that fewer rows show than scarceRows
// for each weight of a channel, as the last layer behind a mean over all pixels has one row of each sample.
var (
	caution = []float64{0, 0.05, 0.3}
	wary    = []float64{0.3, 1, 3}
)

const (
	scarceRows = 2
	judgeRows  = 256 // held back: so many tell of each channel by itself which solution is best
)

// cautions lists those for a group.
func (g *group) cautions() []float64 {
	if g.fit.seen < scarceRows*g.fit.k {
		return wary
	}
	return caution
}

// few says whether the rows held back have to judge all channels together.
func (g *group) few() bool { return g.held.seen < judgeRows }

func solveGPTQ(ctx context.Context, g *group, threads int) []float64 {
	return g.search(ctx, threads, func(int, []float64, []float64) {})
}

// search solves every output channel with each caution, refines what comes out, and keeps what errs
// least on the samples held back.
func (g *group) search(ctx context.Context, threads int, refine func(o int, q, add []float64)) []float64 {
	c := g.choice(ctx, threads, g.rounded())
	order := g.byPower()
	solved := false
	for _, share := range g.cautions() {
		add := g.penalty(share)
		u, ok := g.factor(order, add)
		if !ok {
			continue
		}
		solved = true
		for _, aim := range []func(o int) []float64{g.weights, g.target(add)} {
			err := c.offer(ctx, threads, func(o int, q []float64) {
				compensate(g, o, aim(o), u, order, q)
				refine(o, q, add)
			})
			if err != nil {
				return nil
			}
		}
	}
	if !solved {
		g.note = "its inputs do not determine the weights"
		return nil
	}
	return c.best
}

// A choice is between solutions of a group, by the samples held back: for each output channel by itself, or
// for all together where these are few.
type choice struct {
	g     *group
	best  []float64
	least []float64 // its loss, by channel
	taken []bool    // what was offered last, by channel
	spare []float64 // what is offered, where all channels are judged together
}

// choice begins with a solution. Where it is interrupted, the next offer tells.
func (g *group) choice(ctx context.Context, threads int, first []float64) *choice {
	c := &choice{g: g, best: first, least: make([]float64, g.fit.rows), taken: make([]bool, g.fit.rows)}
	_ = calib.Each(ctx, len(c.least), threads, func(_ context.Context, o int) error {
		c.least[o] = g.held.loss(o, first[o*g.fit.k:][:g.fit.k])
		return nil
	})
	return c
}

// offer takes what solve writes for each channel where it errs less.
func (c *choice) offer(ctx context.Context, threads int, solve func(o int, q []float64)) error {
	if c.g.few() {
		return c.offerAll(ctx, threads, solve)
	}
	k := c.g.fit.k
	return calib.Each(ctx, len(c.least), threads, func(_ context.Context, o int) error {
		q := make([]float64, k)
		solve(o, q)
		e := c.g.held.loss(o, q)
		if c.taken[o] = e < c.least[o]; c.taken[o] {
			c.least[o] = e
			copy(c.best[o*k:][:k], q)
		}
		return nil
	})
}

// offerAll takes what solve writes for all channels where they err less together.
func (c *choice) offerAll(ctx context.Context, threads int, solve func(o int, q []float64)) error {
	k := c.g.fit.k
	if c.spare == nil {
		c.spare = make([]float64, len(c.best))
	}
	loss := make([]float64, len(c.least))
	err := calib.Each(ctx, len(loss), threads, func(_ context.Context, o int) error {
		q := c.spare[o*k:][:k]
		clear(q)
		solve(o, q)
		loss[o] = c.g.held.loss(o, q)
		return nil
	})
	if err != nil {
		return err
	}
	all := sumOf(loss) < sumOf(c.least)
	for o := range c.taken {
		c.taken[o] = all
	}
	if all {
		c.best, c.spare, c.least = c.spare, c.best, loss
	}
	return nil
}

func sumOf(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// rounded returns the nearest marks.
func (g *group) rounded() []float64 {
	q := make([]float64, 0, len(g.w))
	for o := range g.fit.rows {
		params := g.own(o)
		for i, v := range g.weights(o) {
			q = append(q, g.format.Nearest(v, params[i]))
		}
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

// compensate rounds one output channel into out: what an input's weight is off, those still to come make up for.
func compensate(g *group, o int, w, u []float64, order []int, out []float64) {
	k := len(w)
	rest, params := make([]float64, k), g.own(o)
	for i, p := range order {
		rest[i] = w[p]
	}
	for i, p := range order {
		q := g.format.Nearest(rest[i], params[p])
		out[p] = q
		axpy(rest[i+1:], (q-rest[i])/u[i*k+i], u[i*k+i+1:][:k-i-1])
	}
}

// weights are those of an output channel as they are.
func (g *group) weights(o int) []float64 { return g.w[o*g.fit.k:][:g.fit.k] }

// target returns, by output channel, the weights that would be best for these inputs if they needed no rounding: they
// make up for what the quantization of the layers before did to the inputs. Where the inputs do not
// determine them, they are the weights as they are.
func (g *group) target(add []float64) func(o int) []float64 {
	k := g.fit.k
	l := slices.Clone(g.fit.h)
	for i := range k {
		l[i*k+i] += add[i]
	}
	if !cholesky(l, k) {
		return g.weights
	}
	return func(o int) []float64 {
		row := make([]float64, k)
		for i := range row {
			row[i] = g.fit.c[o*k+i] + add[i]*g.w[o*k+i]
		}
		solve(l, k, row)
		return row
	}
}
