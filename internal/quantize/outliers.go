package quantize

import (
	"fmt"
	"maps"
	"math"

	"lowbit/internal/calib"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
)

// splitOutliers splits each product with a matrix whose input has columns beyond the bound that the
// settings give: those columns are multiplied in float, so that the others keep a fine step
// (Dettmers et al., LLM.int8(), 2022, section 3.2, with columns found on samples).
func (q *quantization) splitOutliers() error {
	bound := q.opt.Settings.Outliers
	if bound == 0 {
		return nil
	}
	q.align()
	if err := q.hold(); err != nil || len(q.fitted) == 0 {
		return err
	}
	axes, watch := map[string]int{}, []string{}
	for _, n := range q.float.Graph.Nodes {
		if in, ok := pass.Columns(q.float.Graph, n); ok && len(q.facts[in].Shape) > 0 {
			if _, seen := axes[in]; !seen {
				axes[in] = len(q.facts[in].Shape) - 1
				watch = append(watch, in)
			}
		}
	}
	s, err := q.compile(q.float, watch, false)
	if err != nil {
		return err
	}
	defer s.Close()
	level, _ := kernel.Best() // an error showed when the first network was compiled
	stats, err := calib.CollectChannels(q.ctx, s, calib.FeedOf(q.fitted), axes, calib.Options{Workers: q.opt.Threads, Level: level})
	if err != nil {
		return err
	}
	q.opt.Settings.Leave = maps.Clone(q.opt.Settings.Leave)
	if q.opt.Settings.Leave == nil {
		q.opt.Settings.Leave = map[string]string{}
	}
	q.float = pass.Clone(q.float)
	products, columns := 0, 0
	for name, which := range pass.SplitColumns(q.float, func(in string) (list []int) {
		for c := range stats[in].Len() {
			if row := stats[in].At(c); math.Max(-row.Min, row.Max) > bound {
				list = append(list, c)
			}
		}
		return list
	}) {
		q.opt.Settings.Leave[name] = fmt.Sprintf("multiplies the %d columns beyond %g", which, bound)
		products, columns = products+1, columns+which
	}
	if products == 0 {
		q.warnings = append(q.warnings, fmt.Sprintf("outliers: no column of an input of a product exceeds %g, so none is split off", bound))
		return nil
	}
	q.warnings = append(q.warnings, fmt.Sprintf("outliers: %d columns of %d products are multiplied in float", columns, products))
	q.facts, err = op.Infer(q.float, nil)
	return err
}
