package doctor

import (
	"context"
	"fmt"
	"slices"
)

// A remedy is one way to mend a finding.
type remedy struct {
	text string // the flag or the line of a recipe that does it when the model is quantized anew
	c    changes
	alt  bool // costs what the one before it does: the better of them is taken
}

// goodEnough is the share of the noise that goes with a site which a remedy has to take away.
const goodEnough = 0.9

// suffices says whether a remedy that leaves db takes away enough of what goes where the site is taken out, and does not
// leave a network sick that would be healthy.
func suffices(before, db, goal float64) bool {
	return noise(before)-noise(db) >= goodEnough*(noise(before)-noise(goal)) && (db >= healthySQNR || goal < healthySQNR)
}

// mend makes the remedies of all findings, the worst first, and keeps those that help. While one is tried, what the
// findings behind it name is out of the way, for each may hide the others.
func (e *exam) mend(ctx context.Context, list []*finding) error {
	made := changes{}
	fixed := &Fixed{}
	for i, f := range list {
		pick, err := e.best(ctx, f, made.with(offAll(list[i+1:])))
		if err != nil {
			return err
		}
		e.Progress("mend", i+1, len(list))
		if pick == nil {
			e.warn("%s: nothing that was tried mends %s", f.unit, f.row.name)
			continue
		}
		made = made.with(pick.c)
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

// offAll takes out what findings name.
func offAll(list []*finding) changes {
	c := changes{}
	for _, f := range list {
		c = c.with(off(f.sites...))
	}
	return c
}

// best tries the remedies of a finding on top of those made, and returns the first that is good enough, or the
// best of those that cost as much, else the best of all; nil where none gains.
func (e *exam) best(ctx context.Context, f *finding, made changes) (*remedy, error) {
	before, err := e.variant(ctx, made)
	if err != nil {
		return nil, err
	}
	goal, err := e.variant(ctx, made.with(off(f.sites...)))
	if err != nil {
		return nil, err
	}
	var pick *remedy
	most := before
	if f.sure {
		most = min(before, healthySQNR) // it goes even if that gains nothing here
	}
	for _, r := range f.row.mend(e, f) {
		if !r.alt && pick != nil && suffices(before, most, goal) {
			break
		}
		db, err := e.variant(ctx, made.with(r.c))
		if err != nil {
			return nil, err
		}
		if db > most {
			pick, most = &r, db
		}
	}
	return pick, nil
}

// tellOfRest says of a network that stays sick whether its weights or its activations make the noise that lies in no one place.
func (e *exam) tellOfRest(ctx context.Context) error {
	left := e.total
	if e.d.Fixed != nil {
		left = e.d.Fixed.SQNR
	}
	if e.d.Healthy || left >= healthySQNR-materialGain {
		return nil
	}
	var without [2]float64
	for i, out := range []kind{weights, acts} {
		all := slices.DeleteFunc(slices.Clone(e.sites), func(s *site) bool { return (s.kind == acts) != (out == acts) })
		var err error
		if without[i], err = e.variant(ctx, off(all...)); err != nil {
			return err
		}
	}
	advice := "quantize anew with repairs, and with layers left in float"
	switch most := max(without[0], without[1]); {
	case most < healthySQNR-materialGain: // both make too much
	case most == without[0]:
		advice = "quantize anew with finer weights, or with repairs"
	default:
		advice = "quantize anew with activations of 16 bits, or the weights alone"
	}
	e.warn("at %.1f dB the rest of the noise lies in no one place: with all weights in float the outputs reach %.1f dB, with all activations %.1f dB; %s", left, without[0], without[1], advice)
	return nil
}

func (e *exam) warn(text string, args ...any) {
	e.d.Warnings = append(e.d.Warnings, fmt.Sprintf(text, args...))
}
