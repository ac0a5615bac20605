package doctor

import (
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// biasOverflow tells of biases that 32 bits cannot hold at the scale of their layer.
func (e *exam) biasOverflow() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		if u.bias == nil || u.bias.off == nil {
			return
		}
		scale := tensor.Of[float32](e.m.Graph.ConstTensor(e.x.Producer(u.bias.to[0]).In[1]))
		worst, at := 0.0, 0
		for i, b := range tensor.Of[float32](u.bias.off) {
			if q := math.Abs(float64(b)) / float64(scale[min(i, len(scale)-1)]); q > worst {
				worst, at = q, i
			}
		}
		if worst > math.MaxInt32 {
			list = append(list, e.ofLayer(u, noise(l.weights.SQNR()), "bias of %s: element %d needs %.4g steps of its scale %.3g, 32 bits hold %d", u, at, worst, scale[min(at, len(scale)-1)], math.MaxInt32))
		}
	})
	return list
}

// overflow tells of layers whose sums of products may leave 32 bits.
func (e *exam) overflow() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		x, c := u.in[0], u.weights.coded
		if x == nil || x.kind != acts || x.format.Kind != format.Linear || c.Format.Kind != format.Linear || x.format.Bits+c.Format.Bits > 16 {
			return
		}
		most := int64(max(x.format.Hi-int(x.params.Zero), int(x.params.Zero)-x.format.Lo))
		v := newView(u, u.weights.off)
		sums := make([]int64, v.outs)
		for i, q := range c.Codes {
			sums[v.out(i)] += most * int64(max(q, -q))
		}
		if u.bias != nil {
			for i, b := range tensor.Of[int32](u.bias.codes) {
				sums[i%len(sums)] += max(int64(b), -int64(b))
			}
		}
		if worst := slices.Max(sums); worst > math.MaxInt32 {
			f := e.ofLayer(u, noise(min(l.weights.SQNR(), l.acts.SQNR())), "%s: sums of products may reach %d, 32 bits hold %d", u, worst, math.MaxInt32)
			f.sites = append(f.sites, x) // either in float, nothing overflows
			list = append(list, f)
		}
	})
	return list
}
