package repair

import (
	"context"
	"math"
	"slices"

	"lowbit/internal/format"
)

// AdaRound decides for each weight whether to round up or down by the error of the layer's result
// instead of its own (Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization,
// 2020). The quadratic problem of section 3 is solved as it stands, from GPTQ's solution on: weight
// after weight moves to a neighbouring mark where that lowers the error, until none does. Where an
// output channel has a scale of its own, others are tried.
var AdaRound = &Repair{
	Name: "adaround", Doc: "round each weight up or down, whichever helps the layer's result", Stage: After, Data: true, Many: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) { return reround(ctx, j, solveAdaRound) },
}

const (
	descents = 40 // rounds over all weights of a channel at most
	refits   = 6  // of a channel's scale
)

// scaleStarts are the shares of a channel's scale from which the search for a better one starts.
var scaleStarts = []float64{1, 0.9, 0.8, 0.7}

func solveAdaRound(ctx context.Context, g *group, threads int) []float64 {
	k := g.fit.k
	out := g.search(ctx, threads, func(o int, q, add []float64) { g.descent(o, q, add).run() })
	if out == nil || !g.scalable {
		return out
	}
	add := g.penalty(g.cautions()[1])
	first := slices.Clone(g.params)
	c := g.choice(ctx, threads, out)
	err := c.offer(ctx, threads, func(o int, q []float64) {
		copy(q, out[o*k:][:k])
		d := g.descent(o, q, add)
		d.run()
		d.rescale()
		g.give(o, d.params)
	})
	if err != nil {
		return nil
	}
	for o, taken := range c.taken {
		if !taken {
			for i := range k {
				g.params[g.owner(o, i)] = first[g.owner(o, i)]
			}
		}
	}
	return c.best
}

// A descent moves the weights q of output channel o from mark to mark. What it lowers is their
// squared error on the samples and Σadd·(q−w)².
type descent struct {
	g      *group
	o      int
	w, c   []float64
	add    []float64
	q      []float64
	params []format.Params
	first  []format.Params // as they were
	half   []float64       // of the gradient: add·(q−w) − c + Hq
}

func (g *group) descent(o int, q, add []float64) *descent {
	k := g.fit.k
	p := g.own(o)
	return &descent{g: g, o: o, w: g.w[o*k:][:k], c: g.fit.c[o*k:][:k], add: add, q: q, params: p, first: slices.Clone(p), half: make([]float64, k)}
}

// slope finds half of the gradient.
func (d *descent) slope() {
	k := len(d.q)
	for i := range d.half {
		d.half[i] = float64(d.add[i]*(d.q[i]-d.w[i])) - d.c[i] + dot(d.g.fit.h[i*k:][:k], d.q)
	}
}

// run moves weight after weight to a neighbouring mark while that helps.
func (d *descent) run() {
	k := len(d.q)
	d.slope()
	least := -1e-12 * math.Abs(d.g.fit.yy[d.o])
	for range descents {
		moved := false
		for i, v := range d.q {
			h := d.g.fit.h[i*k+i] + d.add[i]
			step := d.g.format.Nearest(v-d.half[i]/h, d.params[i]) - v
			if step == 0 || step*(2*d.half[i]+step*h) >= least {
				continue
			}
			d.q[i] += step
			axpy(d.half, step, d.g.fit.h[i*k:][:k])
			d.half[i] += step * d.add[i]
			moved = true
		}
		if !moved {
			return
		}
	}
}

// error is what the descent lowers.
func (d *descent) error() float64 {
	sum := d.g.fit.yy[d.o]
	for i, v := range d.q {
		e := v - d.w[i]
		sum += v*(d.half[i]-d.add[i]*e-d.c[i]) + d.add[i]*e*e
	}
	return sum
}

// bestScale is the factor of the weights with which the results err least.
func (d *descent) bestScale() float64 {
	num, den := 0.0, 0.0
	for i, v := range d.q {
		num += v * d.c[i]
		den += v * (d.half[i] - d.add[i]*(v-d.w[i]) + d.c[i])
	}
	return num / max(den, 1e-300)
}

// rescale looks for a scale with which the weights, rounded for it, err less.
func (d *descent) rescale() {
	best, first := d.error(), d.params[0]
	for _, start := range scaleStarts {
		try := *d
		try.q, try.params, try.half = slices.Clone(d.q), slices.Clone(d.params), slices.Clone(d.half)
		p := first
		p.Scale = float32(float64(first.Scale) * start)
		for range refits {
			for i, v := range d.w {
				try.params[i], try.q[i] = p, d.g.format.Nearest(v, p)
			}
			try.run()
			e := try.error()
			if e < best {
				best = e
				copy(d.q, try.q)
				copy(d.params, try.params)
			}
			s := try.bestScale()
			if e > 2*best || !(s > 0.5 && s < 2) || math.Abs(s-1) < 1e-3 {
				break
			}
			p.Scale = float32(float64(p.Scale) * s)
		}
	}
}
