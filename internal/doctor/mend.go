package doctor

import (
	"context"
	"fmt"
)

// A remedy is one way to mend a finding.
type remedy struct {
	text string // the flag or the line of a recipe that does it when the model is quantized anew
	c    changes
	alt  bool // costs what the one before it does: the better of them is taken
}

// goodEnough is the share of the noise that goes with a site which a remedy has to take away.
const goodEnough = 0.5

// mend makes the remedies of all findings, the worst first, and keeps those that help.
func (e *exam) mend(ctx context.Context, list []*finding) error {
	made, best := changes{}, e.total
	fixed := &Fixed{}
	for i, f := range list {
		pick, db, err := e.best(ctx, f, made, best)
		if err != nil {
			return err
		}
		e.Progress("mend", i+1, len(list))
		if pick == nil {
			e.warn("%s: nothing that was tried mends %s", f.unit, f.row.name)
			continue
		}
		made, best = made.with(pick.c), db
		f.fix = pick.text
		e.d.Causes[i].Fix = pick.text
		fixed.Made = append(fixed.Made, fmt.Sprintf("%s: %s", f.unit.name, pick.text))
	}
	if len(fixed.Made) == 0 {
		return nil
	}
	var err error
	if fixed.Model, err = e.build(made); err != nil {
		return err
	}
	if fixed.SQNR, err = e.measure(ctx, fixed.Model); err != nil {
		return err
	}
	if e.Score != nil {
		if fixed.Score, err = e.Score(ctx, fixed.Model); err != nil {
			return err
		}
	}
	e.d.Fixed = fixed
	return nil
}

// best tries the remedies of a finding on top of those made, and returns the first that is good enough, or the
// best of those that cost as much, else the best of all; nil where none gains.
func (e *exam) best(ctx context.Context, f *finding, made changes, before float64) (*remedy, float64, error) {
	goal, err := e.variant(ctx, made.with(off(f.sites...)))
	if err != nil {
		return nil, 0, err
	}
	var pick *remedy
	most := before
	if f.sure {
		most = min(before, healthySQNR) // it goes even if that gains nothing here
	}
	for _, r := range f.row.mend(e, f) {
		if !r.alt && pick != nil && noise(before)-noise(most) >= goodEnough*(noise(before)-noise(goal)) {
			break
		}
		db, err := e.variant(ctx, made.with(r.c))
		if err != nil {
			return nil, 0, err
		}
		if db > most {
			pick, most = &r, db
		}
	}
	return pick, most, nil
}

func (e *exam) warn(text string, args ...any) {
	e.d.Warnings = append(e.d.Warnings, fmt.Sprintf(text, args...))
}
