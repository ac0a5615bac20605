// Package repair makes a network lose less when it is quantized: before calibration by
// rewriting it into one that computes the same and quantizes better, and afterwards by changing
// quantized weights and biases so that the outputs come nearer to those of the float network.
package repair

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
)

// A Repair is one way to lose less.
type Repair struct {
	Name, Doc string
	Stage     Stage
	Data      bool // needs samples; the others use them where there are any
	Many      bool // gains by more samples than others need
	Run       func(ctx context.Context, j *Job) (*Outcome, error)

	// Channels lists the values, with the axis of each, whose channels over the samples it starts from, so that whoever
	// runs the network over them anyway can look at these too; nil: none.
	Channels func(j *Job) map[string]int

	// With returns the repair as "name=option" asks for it, nil where there is no such option; nil: it has
	// none. Options names them for messages.
	With    func(option string) *Repair
	Options string
}

// Stage is when a repair is made.
type Stage uint8

// The stages, in order.
const (
	Before Stage = iota // on the float network, before its values are observed
	After               // on the constants, once every value has its parameters
)

// All lists the repairs in the order in which they are made, whatever the order of the request.
var All = []*Repair{Rotate, Equalize, Absorb, Smooth, AWQ, HQQ, KQuant, AWQClip, GPTQ, AdaRound, BRECQ, Analytic, Bias}

// None is the word that stands for no repair at all.
const None = "none"

// Lookup returns the repair of that name, or nil.
func Lookup(name string) *Repair {
	for _, r := range All {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Pick returns the repair that a word stands for: its name, or its name with an option behind "=".
func Pick(word string) (*Repair, error) {
	name, option, with := strings.Cut(word, "=")
	r := Lookup(name)
	switch {
	case r == nil:
		return nil, fault.Invalidf("fix", "there is no repair %q", word).WithHint("it is one of %s", Names())
	case !with:
		return r, nil
	case r.With == nil:
		return nil, fault.Invalidf("fix", "repair %s has no options", name)
	}
	own := r.With(option)
	if own == nil {
		return nil, fault.Invalidf("fix", "%q: repair %s takes %s", word, name, r.Options)
	}
	own.Name = word
	return own, nil
}

// Words lists the names of the repairs. Two steps of one have one name.
func Words() []string {
	var s []string
	for _, r := range All {
		if !slices.Contains(s, r.Name) {
			s = append(s, r.Name)
		}
	}
	return s
}

// Names lists the names for messages, with the options that they take.
func Names() string {
	list := Words()
	for i, name := range list {
		if r := Lookup(name); r.Options != "" {
			list[i] += " (or " + r.Options + ")"
		}
	}
	return strings.Join(list, ", ")
}

// A Job is what repairs work on.
type Job struct {
	Net      *graph.Model // float, prepared; repairs change it
	Origin   *graph.Model // it before repairs of stage After changed it; nil: as it is
	Facts    op.Facts
	Norms    map[string]pass.Norm // what BatchNormalizations told, by value; repairs of stage Before keep it true
	Settings plan.Settings
	Plan     *plan.Plan     // decided; fitted from stage After on
	Fit      []calib.Inputs // samples to repair on; empty where there are none
	Held     []calib.Inputs // samples to judge by
	Compile  func(m *graph.Model, watch []string) (calib.Runner, error)
	Matrices func(m *graph.Model, watch []string) (calib.Runner, error) // Compile where values may be shown as matrices of pixels and channels
	Channels map[string]*calib.Channels                                 // of Net's values over the samples of Fit, as far as they are known
	Level    kernel.Level
	Threads  int
	Progress func(done, total int)
	Journal  Journal // of what an earlier run of the same work did; nil: none is kept
}

// progress tells how far a repair has come.
func (j *Job) progress(done, total int) {
	if j.Progress != nil {
		j.Progress(done, total)
	}
}

// collecting is how the channels of values are looked at.
func (j *Job) collecting() calib.Options {
	return calib.Options{Level: j.Level, Workers: j.Threads, Done: func(n int) { j.progress(n, len(j.Fit)) }}
}

// origin is the float network that repaired ones have to come near to.
func (j *Job) origin() *graph.Model {
	if j.Origin == nil {
		j.Origin = pass.Clone(j.Net)
	}
	return j.Origin
}

// An Outcome tells what a repair did.
type Outcome struct {
	Changes []Change
	Note    string // where nothing was changed, why

	// Redo makes the changes of some places alone, in a copy of the network as the repair found it. nil:
	// what was changed are constants and parameters of single nodes, which can be taken one by one.
	Redo func(j *Job, keep func(place string) bool) *Outcome
}

// A Change is what a repair did to one value or node.
type Change struct {
	Place, What string
	Gain        float64  // dB by which its result errs less on samples held back; 0: not measured
	Also        []string // other nodes that it changed too
}

// also adds a node to a change.
func (c *Change) also(node string) {
	if node != c.Place {
		c.Also = append(c.Also, node)
	}
}

func (o *Outcome) add(place, what string, args ...any) { o.addGain(0, place, what, args...) }

// addGain adds a change that was measured.
func (o *Outcome) addGain(gain float64, place, what string, args ...any) {
	o.Changes = append(o.Changes, Change{Place: place, What: fmt.Sprintf(what, args...), Gain: gain})
}
