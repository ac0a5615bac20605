package repair

import (
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// Scale multiplies every lane by its factor, factors being indexed by the lane that stands for
// it, and rewrites the constants that have to follow. What the network computes stays the same,
// but for lanes that pass a clamp and reach its bound earlier.
func (l *Lanes) Scale(factors []float64) {
	used := map[string]int{}
	for _, n := range l.g.Nodes {
		for _, name := range n.In {
			used[name]++
		}
	}
	names := l.names()
	for _, s := range l.slots {
		name := s.node.In[s.in]
		t := l.g.ConstTensor(name)
		scaled, changed := s.apply(t, func(lane int) float64 { return factors[l.root(lane)] })
		if !changed {
			continue
		}
		if used[name] > 1 || l.g.Output(name) != nil {
			used[name]--
			name = fresh(names, name+"_scaled")
			used[name] = 1
			s.node.In[s.in] = name
		}
		l.g.SetConst(name, scaled)
	}
}

// scaleNorms multiplies what is known of channels by their factors.
func (l *Lanes) scaleNorms(norms map[string]pass.Norm, factors []float64) {
	for name, v := range norms {
		first, ok := l.first[name]
		if !ok || l.count[name] != len(v.Mean) {
			continue
		}
		scaled := pass.Norm{Mean: make([]float64, len(v.Mean)), Dev: make([]float64, len(v.Mean))}
		for c := range v.Mean {
			f := factors[l.root(first+c)]
			scaled.Mean[c], scaled.Dev[c] = float64(v.Mean[c]*f), float64(v.Dev[c]*f)
		}
		norms[name] = scaled
	}
}

// apply returns the constant with its slices multiplied, and whether any factor was not 1.
func (s *slot) apply(t *tensor.Tensor, factor func(lane int) float64) (*tensor.Tensor, bool) {
	width := t.Shape[s.axis]
	f, changed := make([]float64, width*s.blocks), false
	for i := range f {
		f[i] = factor(s.lane + i)
		changed = changed || f[i] != 1
		if s.divide {
			f[i] = 1 / f[i]
		}
	}
	if !changed {
		return t, false
	}
	x := tensor.Of[float32](t)
	y := make([]float32, len(x))
	inner := tensor.Elements(t.Shape[s.axis+1:])
	outer := len(x) / (inner * width)
	for o := range outer {
		block := o * s.blocks / outer
		for a := range width {
			at := (o*width + a) * inner
			k := f[block*width+a]
			for i := range inner {
				y[at+i] = float32(float64(x[at+i]) * k)
			}
		}
	}
	return tensor.Float32s(y, t.Shape...), true
}

// names collects the names in use.
func (l *Lanes) names() map[string]bool {
	used := map[string]bool{}
	for _, c := range l.g.Consts() {
		used[c.Name] = true
	}
	for _, v := range l.g.In {
		used[v.Name] = true
	}
	for _, n := range l.g.Nodes {
		for _, o := range n.Out {
			used[o] = true
		}
	}
	return used
}
