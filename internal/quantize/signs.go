package quantize

import (
	"fmt"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/plan"
)

// alike warns of values that are to flow as signs alone though calibration saw none of them below zero.
func (q *quantization) alike(stats map[string]*calib.Stats) {
	signs, same := 0, 0
	for _, v := range q.plan.Values {
		f, s := format.Lookup(v.Format), stats[v.Name]
		if v.Role != plan.RoleActivation || f == nil || f.Bits > 1 || s == nil || !s.Seen() {
			continue
		}
		if signs++; s.Min >= 0 {
			same++
		}
	}
	if same > 0 {
		q.warnings = append(q.warnings, fmt.Sprintf("%d of %d values that flow in one bit are never below zero, as after Relu: all their signs are alike and tell nothing. "+
			"Such networks have to be trained on signs (XNOR-Net); binary weights alone go with `acts uint8`", same, signs))
	}
}
