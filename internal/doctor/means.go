package doctor

import (
	"math"

	"lowbit/internal/tensor"
)

// A shift gathers by channel the mean error and the variance of the results.
type shift struct {
	n                 float64 // elements of each channel
	diff, sum, square []float64
}

// add compares the results y of a layer with those of a copy.
func (s *shift) add(y, x []float32, shape []int, axis int) {
	if axis < 0 {
		return
	}
	c, run := shape[axis], tensor.Elements(shape[axis+1:])
	if s.diff == nil {
		s.diff, s.sum, s.square = make([]float64, c), make([]float64, c), make([]float64, c)
	}
	for at, k := 0, 0; at < len(y); at, k = at+run, (k+1)%c {
		diff, sum, square := s.diff[k], s.sum[k], s.square[k]
		for i, v := range y[at : at+run] {
			a := float64(v)
			diff += float64(x[at+i]) - a
			sum += a
			square += float64(a * a)
		}
		s.diff[k], s.sum[k], s.square[k] = diff, sum, square
	}
	s.n += float64(len(y) / max(1, c))
}

func (s *shift) merge(o shift) {
	if s.diff == nil || o.diff == nil {
		if s.diff == nil {
			*s = o
		}
		return
	}
	for k := range o.diff {
		s.diff[k] += o.diff[k]
		s.sum[k] += o.sum[k]
		s.square[k] += o.square[k]
	}
	s.n += o.n
}

// mean is the mean error of a channel.
func (s *shift) mean(k int) float64 { return s.diff[k] / s.n }

// deviation is the standard deviation of a channel in float.
func (s *shift) deviation(k int) float64 {
	m := s.sum[k] / s.n
	return math.Sqrt(max(0, s.square[k]/s.n-m*m))
}

// widest is the largest standard deviation of a channel.
func (s *shift) widest() (most float64) {
	for k := range s.sum {
		most = max(most, s.deviation(k))
	}
	return most
}

// energy is the squared error that the mean shift of all channels makes.
func (s *shift) energy() (sum float64) {
	for k := range s.diff {
		sum += s.mean(k) * s.mean(k) * s.n
	}
	return sum
}

// shifted tells of layers whose weights and bias move the mean of their results, unless that undoes a shift
// that arises before them.
func (e *exam) shifted() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		worst, at := 0.0, 0
		for k := range l.shift.diff {
			if l.shift.deviation(k) < constant*l.shift.widest() || l.undone(k) {
				continue
			}
			if d := math.Abs(l.shift.mean(k)) / l.shift.deviation(k); d > worst {
				worst, at = d, k
			}
		}
		if worst <= shiftShare || l.shift.energy() < shiftMost*l.weights.Noise() {
			return
		}
		f := e.ofLayer(u, noise(l.weights.SQNR()), "results of %s: the mean of channel %d is off by %.2f of its standard deviation; shifts of the mean make %.0f %% of the layer's error",
			u, at, worst, 100*l.shift.energy()/l.weights.Noise())
		if e.biasMoves(u, &l.shift) {
			f.sites = []*site{u.bias}
		} else if l.weights.SQNR() < lowSQNR {
			return // codes as coarse as that move the mean as well
		}
		list = append(list, f)
	})
	return list
}

// undone says whether the shift of a channel is not there in the quantized network.
func (l *loss) undone(k int) bool {
	return k < len(l.whole.diff) && math.Abs(l.whole.mean(k)) < shiftShare*l.whole.deviation(k)
}

// biasMoves says whether the bias alone makes the shift.
func (e *exam) biasMoves(u *unit, s *shift) bool {
	if u.bias == nil || u.bias.off == nil || u.bias.off.Len() != len(s.diff) {
		return false
	}
	rest, all := 0.0, 0.0
	ours := e.biasOf(u)
	for k, b := range tensor.Of[float32](u.bias.off) {
		d := s.mean(k) - (float64(ours[k]) - float64(b))
		rest += float64(d * d)
		all += s.mean(k) * s.mean(k)
	}
	return rest < all/2
}
