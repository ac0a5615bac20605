package quantize

import (
	"fmt"

	"lowbit/internal/calib/dataset"
)

// drawn says whether the samples were drawn, for want of data.
func (q *quantization) drawn() bool {
	return q.opt.Data != nil && q.opt.Data.Info().Form == dataset.None
}

// tellDrawn says what is known of the network where there is no data.
func (q *quantization) tellDrawn() {
	if !q.drawn() {
		return
	}
	if n := len(q.norms); n > 0 {
		q.warnings = append(q.warnings, fmt.Sprintf("without data: ranges are those of drawn samples, means those that %d BatchNormalizations keep", n))
		return
	}
	q.warnings = append(q.warnings, "without data: the model's BatchNormalizations are folded already, or it has none, so ranges and means are those of drawn samples, propagated through the network")
}
