package repair

import (
	"context"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
)

// AWQ scales the columns of weights that read large activations up before they are rounded, and the
// activations down: by the mean magnitude of each to a power r between 0 and 1, alone or over that of
// the weights to the power 1−r, whichever lets the results err least (Lin et al., AWQ, 2024, section 3.2).
var AWQ = &Repair{
	Name: "awq", Doc: "scale weights by the activations they read, and clip them, for the least error of the result", Stage: Before, Data: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) { return migrate(ctx, j, powers) },
}

// AWQClip is the second step of AWQ: it looks for the share of each group's range with which the
// result errs least.
var AWQClip = &Repair{
	Name: AWQ.Name, Doc: AWQ.Doc, Stage: After, Data: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) { return reround(ctx, j, solveClip) },
}

const (
	awqSteps  = 20
	leastMean = 1e-4

	clipFrom, clipStep = 1.2, 0.04 // shares of a group's scale
	clipSteps          = 20
	clipRounds         = 4 // over all groups of a channel
)

// powers lists the factors of each power, normalized so that the largest and the smallest are as far from one.
func powers(s *site) [][]float64 {
	add := func(sum, v float64) float64 { return sum + v }
	acts, weights := s.columns(add, add)
	seen, stored := 0, 0
	for _, r := range s.readers {
		seen, stored = seen+len(r.fit.x[0])/r.win.k, stored+r.win.rows
	}
	var tries [][]float64
	for k := 1; k <= awqSteps; k++ {
		r := float64(k) / awqSteps
		alone, both := make([]float64, len(acts)), make([]float64, len(acts))
		for i, v := range acts {
			alone[i] = math.Pow(math.Max(v/float64(max(1, seen)), leastMean), -r)
			both[i] = alone[i] * math.Pow(math.Max(weights[i]/float64(max(1, stored)), leastMean), 1-r)
		}
		tries = append(tries, centred(both))
		if k < awqSteps {
			tries = append(tries, centred(alone))
		}
	}
	return tries
}

// centred divides factors by the middle between their extremes.
func centred(f []float64) []float64 {
	middle := math.Sqrt(slices.Min(f) * slices.Max(f))
	for i := range f {
		f[i] /= middle
	}
	return f
}

// solveClip shrinks the scale of each run of weights that share one, and rounds to nearest.
func solveClip(ctx context.Context, g *group, threads int) []float64 {
	if !g.free {
		return nil
	}
	k := g.fit.k
	out, add := g.rounded(), g.penalty(0)
	err := calib.Each(ctx, g.fit.rows, threads, func(_ context.Context, o int) error {
		d := g.descent(o, out[o*k:][:k], add)
		d.slope()
		runs := g.runs(o)
		for range clipRounds {
			moved := false
			for _, run := range runs {
				moved = d.clip(run) || moved
			}
			if !moved {
				break
			}
		}
		g.give(o, d.params)
		return nil
	})
	if err != nil {
		return nil
	}
	return out
}

// runs lists the columns of an output channel by the parameters they share.
func (g *group) runs(o int) [][]int {
	at := map[int]int{}
	var list [][]int
	for i := range g.fit.k {
		owner := g.owner(o, i)
		k, known := at[owner]
		if !known {
			k = len(list)
			at[owner] = k
			list = append(list, nil)
		}
		list[k] = append(list[k], i)
	}
	return list
}

// clip gives the weights of one run the share of its scale with which the result errs least, the
// other runs being as they are, and says whether that changed them.
func (d *descent) clip(run []int) bool {
	k := len(d.q)
	best, least, found := d.params[run[0]], 0.0, false
	var tries [clipSteps]format.Params
	var moves [clipSteps][]float64
	all := make([]float64, clipSteps*len(run))
	for t := range tries {
		tries[t] = d.first[run[0]]
		tries[t].Scale = float32(float64(tries[t].Scale) * (clipFrom - float64(t)*clipStep))
		moves[t] = all[t*len(run):][:len(run)]
		for n, i := range run {
			moves[t][n] = d.g.format.Nearest(d.w[i], tries[t]) - d.q[i]
		}
	}
	for t, e := range d.changes(run, &moves) {
		if e < least-1e-12*math.Abs(d.g.fit.yy[d.o]) {
			least, best, found = e, tries[t], true
		}
	}
	if !found {
		return false
	}
	for _, i := range run {
		step := d.g.format.Nearest(d.w[i], best) - d.q[i]
		d.q[i] += step
		d.params[i] = best
		axpy(d.half, step, d.g.fit.h[i*k:][:k])
		d.half[i] += step * d.add[i]
	}
	return true
}

// changes tells for each of several ways to move the weights of a run by how much the error changes.
func (d *descent) changes(run []int, moves *[clipSteps][]float64) (sums [clipSteps]float64) {
	part := make([]float64, len(run))
	for n, i := range run {
		row := d.g.fit.h[i*len(d.q):][:len(d.q)]
		for m, j := range run[:n] {
			part[m] = row[j]
		}
		for t, move := range moves {
			if v := move[n]; v != 0 {
				sums[t] += float64(v * (2*(d.half[i]+dot(part[:n], move)) + float64((row[i]+d.add[i])*v)))
			}
		}
	}
	return sums
}
