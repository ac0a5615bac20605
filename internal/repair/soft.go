package repair

import (
	"math"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
)

// A soft weight lies between two neighbouring marks: w = low + h(v)·(high−low) with the rectified
// sigmoid h(v) = clip(σ(v)·(ζ−γ)+γ, 0, 1) (Nagel et al., AdaRound, 2020, equations 22 and 23).
type soft struct {
	low, gap []float32 // gap 0: the mark is where it stays
	v        []float32
	adam
	sigma []float32
	pull  float64 // of the regularizer, as the gradients are large
}

const (
	zeta, gamma = 1.1, -0.1
	nearer      = 0.5  // how far from its place a weight begins towards the mark that it has
	softLeast   = 0.02 // how near to a mark a weight begins at most
)

// newSoft puts weights w that are stored as marks between those and their neighbours towards w.
func newSoft(f *format.Format, params []format.Params, owners []int, w, marks []float32) *soft {
	s := &soft{low: make([]float32, len(w)), gap: make([]float32, len(w)), v: make([]float32, len(w)), adam: newAdam(len(w)), sigma: make([]float32, len(w))}
	for i, m := range marks {
		p := params[owners[i]]
		up := w[i] > m
		next := neighbour(f, m, p, up)
		low, high := m, next
		if !up {
			low, high = next, m
		}
		s.low[i], s.gap[i] = low, high-low
		if s.gap[i] > 0 {
			h := max(0, min(1, float64(w[i]-low)/float64(s.gap[i])))
			if up {
				h -= nearer * h
			} else {
				h += nearer * (1 - h)
			}
			h = max(softLeast, min(1-softLeast, h))
			s.v[i] = float32(-math.Log((zeta-gamma)/(h-gamma) - 1))
		}
	}
	return s
}

// neighbour returns the next mark above or below one, or itself at the end.
func neighbour(f *format.Format, mark float32, p format.Params, up bool) float32 {
	by := -1
	if up {
		by = 1
	}
	if f.Lo < f.Hi {
		q := math.RoundToEven(float64(mark)/float64(p.Scale)) + float64(by)
		if z := q + float64(p.Zero); z < float64(f.Lo) || z > float64(f.Hi) {
			return mark
		}
		return float32(q * float64(p.Scale))
	}
	marks, _ := f.Steps()
	best := 0
	for i, m := range marks {
		if math.Abs(float64(m*p.Scale-mark)) < math.Abs(float64(marks[best]*p.Scale-mark)) {
			best = i
		}
	}
	if best += by; best < 0 || best >= len(marks) {
		return mark
	}
	return marks[best] * p.Scale
}

// rectified is h(v) of a sigmoid.
func rectified(sigma float32) float32 {
	return max(0, min(1, sigma*(zeta-gamma)+gamma))
}

// weights writes the weights as they are between the marks, or on them.
func (s *soft) weights(w []float32, level kernel.Level, hard bool) {
	level.Unary(kernel.Sigmoid, s.sigma, s.v)
	for i, g := range s.gap {
		h := rectified(s.sigma[i])
		if hard {
			h = float32(math.Floor(float64(h) + 0.5))
		}
		w[i] = s.low[i] + float32(h*g)
	}
}

// step moves the weights against their gradient and, from warm on, towards the marks: by the gradient
// of Σ(1−|2h−1|^β), pull times the size of the other one. The sigmoids are those of weights.
func (s *soft) step(grad []float32, rate, beta float64, powers []float32) {
	if powers == nil {
		sum, n := 0.0, 0
		for i, g := range grad {
			if s.gap[i] > 0 {
				e := float64(g * s.gap[i])
				sum += e * e
				n++
			}
		}
		s.pull = math.Max(s.pull*0.9, math.Sqrt(sum/float64(max(1, n))))
	}
	pull := float32(s.pull * beta * 2)
	s.next()
	for i, g := range grad {
		sg := s.sigma[i]
		h := sg*(zeta-gamma) + gamma
		if s.gap[i] == 0 || !(h > 0 && h < 1) {
			continue
		}
		d := float32(g * s.gap[i])
		if powers != nil {
			u := 2*h - 1
			if u < 0 {
				d += float32(pull * powers[int(-u*float32(len(powers)-1))])
			} else {
				d -= float32(pull * powers[int(u*float32(len(powers)-1))])
			}
		}
		s.v[i] -= s.move(i, d*(zeta-gamma)*sg*(1-sg), float32(rate))
	}
}

// powersOf tables u^(β−1) for u from 0 to 1.
func powersOf(beta float64) []float32 {
	t := make([]float32, 1025)
	for i := range t {
		t[i] = float32(math.Pow(float64(i)/1024, beta-1))
	}
	return t
}

// Adam keeps what the steps of an optimizer need (Kingma and Ba, Adam, 2015, algorithm 1).
type adam struct {
	m, s         []float32
	steps        int
	unm, uns     float32 // 1/(1−β₁ᵗ), 1/(1−β₂ᵗ)
	beta1, beta2 float32
}

func newAdam(n int) adam {
	return adam{m: make([]float32, n), s: make([]float32, n), beta1: 0.9, beta2: 0.999}
}

// next begins a step.
func (a *adam) next() {
	a.steps++
	a.unm = float32(1 / (1 - math.Pow(float64(a.beta1), float64(a.steps))))
	a.uns = float32(1 / (1 - math.Pow(float64(a.beta2), float64(a.steps))))
}

// move returns how far number i goes down.
func (a *adam) move(i int, g, rate float32) float32 {
	a.m[i] = float32(a.beta1*a.m[i]) + float32((1-a.beta1)*g)
	a.s[i] = float32(a.beta2*a.s[i]) + float32((1-a.beta2)*float32(g*g))
	return rate * float32(a.m[i]*a.unm) / (float32(math.Sqrt(float64(a.s[i]*a.uns))) + 1e-20)
}
