package repair

import (
	"math"

	"lowbit/internal/pass"
)

// A watch keeps the sums of each channel of a cell and of its squares, from which follow its mean and
// deviation over a batch. Its gradient is that of the distance of these from what they ought to be.
type watch struct {
	at, row     int // the cell; the row of a lane's sums
	mean, dev   []float64
	share       []float64 // of dev that is wanted
	slope, lift []float32 // what the gradient of each element is, at the last batch: slope·x + lift
}

// faintDev is a deviation, as a share of the largest, below which a channel tells nothing.
const faintDev = 1e-4

func newWatch(at, row int, n pass.Norm) *watch {
	c := len(n.Mean)
	return &watch{at: at, row: row, mean: n.Mean, dev: n.Dev, share: n.Share, slope: make([]float32, c), lift: make([]float32, c)}
}

func (s *watch) forward(l *lane) {
	c, x := l.t.cells[s.at].c, l.x[s.at]
	if l.sums[s.row] == nil {
		l.sums[s.row] = make([]float64, 2*c)
	}
	first, second := l.sums[s.row][:c], l.sums[s.row][c:]
	clear(l.sums[s.row])
	for ; len(x) >= c; x = x[c:] {
		for i, v := range x[:c] {
			f := float64(v)
			first[i] += f
			second[i] += float64(f * f)
		}
	}
}

func (s *watch) backward(l *lane) {
	c := l.t.cells[s.at].c
	for x, d := l.x[s.at], l.d[s.at]; len(x) >= c; x, d = x[c:], d[c:] {
		for i, v := range x[:c] {
			d[i] += float32(s.slope[i]*v) + s.lift[i]
		}
	}
}

// judge returns the mean over channels of ((m−β)/γ)² + (s/γ−σ')², where m and s are mean and deviation
// over n elements with those sums, and puts the gradient of by times that into slope and lift.
func (s *watch) judge(sums []float64, n, by float64) float64 {
	c := len(s.mean)
	most, told := 0.0, 0
	for _, v := range s.dev {
		most = max(most, v)
	}
	for _, v := range s.dev {
		if v > faintDev*most {
			told++
		}
	}
	total := 0.0
	for i := range c {
		s.slope[i], s.lift[i] = 0, 0
		if s.dev[i] <= faintDev*most {
			continue
		}
		mean := sums[i] / n
		dev := math.Sqrt(max(0, sums[c+i]/n-float64(mean*mean)))
		off, wide := (mean-s.mean[i])/s.dev[i], dev/s.dev[i]-s.share[i]
		total += float64(off*off) + float64(wide*wide)
		k := 2 * by / (s.dev[i] * float64(told))
		slope := 0.0
		if dev > faintDev*s.dev[i] {
			slope = k * wide / dev
		}
		s.slope[i], s.lift[i] = float32(slope), float32(float64(k*off)-float64(slope*mean))
	}
	return total / float64(max(1, told))
}
