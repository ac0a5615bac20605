package doctor

import "fmt"

// A row is one cause of the closed list: the measurement that names it, and what mends it.
type row struct {
	name string
	find func(e *exam) []*finding
	mend func(e *exam, f *finding) []remedy // the first that is good enough is taken
}

// rows lists the causes. Of several that hold for one site the first is named: what is broken comes
// before what is badly chosen, and what has a reason before what is merely too coarse.
var rows = []*row{
	{"calibration mismatch", (*exam).allMismatched, (*exam).recalibrate},
	{"sensitive op quantised", (*exam).sensitive, (*exam).keep},
	{"constant/degenerate scale", (*exam).degenerate, (*exam).refit},
	{"bias overflow", (*exam).biasOverflow, (*exam).raiseScale},
	{"overflow", (*exam).overflow, (*exam).keep},
	{"range outlier", (*exam).outliers, (*exam).clip},
	{"shared scale over unlike branches", (*exam).unlike, (*exam).separate},
	{"calibration mismatch", (*exam).mismatched, (*exam).recalibrate},
	{"dead or collapsed channel spread", (*exam).spread, (*exam).perChannel},
	{"sensitive op quantised", (*exam).exact, (*exam).keep},
	{"unsupported or unfused placement", (*exam).unfused, (*exam).move},
	{"mean shift", (*exam).shifted, (*exam).correctBias},
	{"rounding below bits", (*exam).rounding, (*exam).finerWeights},
	{"activation bits", (*exam).coarse, (*exam).finerActs},
}

// The bounds of the list.
const (
	outlierRatio = 8.0       // of a range to the 99.99th percentile of the magnitudes
	spreadRatio  = 64.0      // of the largest channel's range to the smallest's
	shiftShare   = 0.1       // of a channel's standard deviation
	branchRatio  = 8.0       // of two branches' ranges
	lowSQNR      = 15.0      // dB, of a layer by its weights alone, or of an activation
	kolmogorov   = 0.1       // distance between two distributions
	constant     = 1e-3      // of the widest channel's standard deviation: a channel with less does not vary
	shiftMost    = 0.5       // share of a layer's squared error that its mean shift has to make
	crowded      = 0.99      // share of a value's numbers on two codes, which say nothing of it
	narrow       = 1. / 1024 // of what a value takes: all codes of a range below lie within less than a step that would suit it
	leastScale   = 0x1p-126
)

// A finding is a cause at one place.
type finding struct {
	row      *row
	unit     *unit
	sites    []*site
	evidence string
	local    float64 // noise at the place itself, as a share of the signal's power
	sure     bool    // wrong whatever the outputs are here: it costs time, or shows on other machines

	alone, without float64
	scores         *[2]float64
	fix            string
}

// cause is the finding as the diagnosis tells it.
func (f *finding) cause() Cause {
	return Cause{Name: f.unit.name, Op: f.unit.node.Op, Value: f.sites[0].name, Cause: f.row.name, Evidence: f.evidence, Fix: f.fix,
		Alone: f.alone, Without: f.without, Scores: f.scores}
}

// at makes a finding of a site.
func (e *exam) at(s *site, local float64, evidence string, args ...any) *finding {
	return &finding{unit: s.unit, sites: []*site{s}, local: local, evidence: fmt.Sprintf(evidence, args...)}
}

// ofLayer makes a finding of a layer's weights, which others may read too, and of its bias.
func (e *exam) ofLayer(u *unit, local float64, evidence string, args ...any) *finding {
	f := e.at(u.weights, local, evidence, args...)
	if f.unit = u; u.bias != nil && u.bias.off != nil {
		f.sites = append(f.sites, u.bias)
	}
	return f
}

// eachAct calls f for every activation that the samples reached.
func (e *exam) eachAct(f func(s *site, r *reading)) {
	for _, s := range e.sites {
		if r := e.screening.acts[s]; s.kind == acts && r != nil && r.stats.Seen() {
			f(s, r)
		}
	}
}

// eachLayer calls f for every layer whose weights are known in float.
func (e *exam) eachLayer(f func(u *unit, l *loss)) {
	for _, u := range e.layers() {
		if l := e.screening.layers[u]; l != nil && u.weights.off != nil {
			f(u, l)
		}
	}
}

func rowOf(name string) *row {
	for _, r := range rows {
		if r.name == name {
			return r
		}
	}
	return nil
}
