package main

import (
	"fmt"
	"math"
	"path/filepath"
	"time"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/journal"
	"lowbit/internal/plan"
)

const quantizeSchema = "lowbit.quantize/v1"

// quantizeJSON is what quantize prints with --json. The report beside the output holds the same
// without the seconds, so that it is the same file each time.
type quantizeJSON struct {
	Schema      string      `json:"schema"`
	Output      string      `json:"output"`
	BytesBefore int64       `json:"bytes_before"`
	BytesAfter  int64       `json:"bytes_after"`
	Seconds     *float64    `json:"seconds,omitempty"`
	SHA256      string      `json:"sha256"`
	SQNR        *float64    `json:"sqnr_db,omitempty"`
	Gate        *gateJSON   `json:"measured,omitempty"`
	Drawn       *drawnJSON  `json:"drawn,omitempty"`    // inputs that were drawn, for want of data
	Budget      float64     `json:"budget_s,omitempty"` // of repairs chosen by trial
	Quantized   int         `json:"quantized"`          // layers that compute on quantized values
	Layers      []layerJSON `json:"layers"`
	Fixes       []fixJSON   `json:"fixes"` // repairs that were made or tried
	Warnings    []string    `json:"warnings"`
}

// gateJSON says what the ratio of a report was measured on.
type gateJSON struct {
	Samples int     `json:"samples"`
	Fresh   bool    `json:"fresh"` // no choice was made by them
	Error   float64 `json:"standard_error_db"`
	Agree   float64 `json:"top1_agreement"`
}

// drawnJSON says what drawn inputs were fitted to.
type drawnJSON struct {
	Norms     int     `json:"batch_normalizations"`
	Reached   int     `json:"reached"` // of them by gradients
	Fitted    string  `json:"fitted_input,omitempty"`
	Inputs    int     `json:"inputs,omitempty"`
	Steps     int     `json:"steps,omitempty"`
	Estimated float64 `json:"estimated_s,omitempty"`
	Before    float64 `json:"distance_before,omitempty"` // mean over normalizations of the squared differences of means and deviations, in deviations
	After     float64 `json:"distance_after,omitempty"`
	Note      string  `json:"note,omitempty"`
}

func drawnOf(d *lowbit.Drawn) *drawnJSON {
	if d == nil {
		return nil
	}
	j := &drawnJSON{Norms: d.Norms, Reached: d.Reached, Note: flagged(d.Note)}
	if d.Steps > 0 {
		j.Fitted, j.Inputs, j.Steps, j.Estimated, j.Before, j.After = d.Input, d.Inputs, d.Steps, d.Work.Seconds(), d.Before, d.After
	}
	return j
}

// fixJSON is one repair.
type fixJSON struct {
	Name      string      `json:"name"`
	Made      bool        `json:"made"`
	Skipped   bool        `json:"skipped,omitempty"` // not tried, for the budget
	Note      string      `json:"note,omitempty"`
	Estimated float64     `json:"estimated_s,omitempty"`
	Before    float64     `json:"before_db,omitempty"` // on the samples that judge
	After     float64     `json:"after_db,omitempty"`
	Aside     bool        `json:"mean_errors_aside,omitempty"` // both without the mean errors of the weights, which the repair of biases takes out
	Changes   []fixLine   `json:"changes,omitempty"`
	Undone    []fixLine   `json:"undone,omitempty"`
	Trials    []trialJSON `json:"trials,omitempty"`
}

// fixLine is one change, and by how many dB the result there errs less.
type fixLine struct {
	Place string  `json:"place"`
	What  string  `json:"what"`
	Gain  float64 `json:"gain_db,omitempty"`
}

// trialJSON is what the changes at some places do to the outputs.
type trialJSON struct {
	Places  []string `json:"places"`
	Samples int      `json:"samples"`
	Without float64  `json:"without_db"`
	With    float64  `json:"with_db"`
	Kept    bool     `json:"kept"`
}

func fixOf(f lowbit.Fix) fixJSON {
	j := fixJSON{Name: f.Name, Made: f.Made, Skipped: f.Skipped, Note: f.Note, Estimated: f.Work.Seconds(), Before: f.Before, After: f.After, Aside: f.Aside}
	for _, c := range f.Changes {
		j.Changes = append(j.Changes, fixLine{c.Place, c.What, round2(c.Gain)})
	}
	for _, c := range f.Undone {
		j.Undone = append(j.Undone, fixLine{c.Place, c.What, round2(c.Gain)})
	}
	for _, t := range f.Trials {
		j.Trials = append(j.Trials, trialJSON(t))
	}
	return j
}

// round2 leaves two digits behind the point.
func round2(v float64) float64 { return math.Round(100*v) / 100 }

// layerJSON is one node of the plan.
type layerJSON struct {
	Name    string   `json:"name"`
	Op      string   `json:"op"`
	Weights string   `json:"weights"`
	Acts    string   `json:"acts"`
	SQNR    *float64 `json:"sqnr_db"` // of the weights; null where they stay in float
	Reason  string   `json:"reason"`
}

// ratio returns the ratio of the weights as tables print it.
func (l *layerJSON) ratio() string {
	if l.SQNR == nil || l.Weights == inFloat {
		return ""
	}
	return fmt.Sprintf("%.2f", *l.SQNR)
}

// inFloat is said of weights and activations that have no format.
const inFloat = "float"

func layerOf(p *plan.Plan, n *plan.Node) layerJSON {
	l := layerJSON{Name: n.Name, Op: n.Op, Weights: inFloat, Acts: inFloat, Reason: n.Reason}
	for _, as := range n.Inputs {
		v := p.Value(as)
		switch {
		case as == "" || v == nil:
		case v.Role == plan.RoleWeight:
			l.Weights, l.SQNR = v.Format+":"+v.Block.String(), &v.SQNR
		case v.Role == plan.RoleActivation:
			l.Acts = v.Format
		}
	}
	return l
}

// outputs are the files that a run writes besides the model and its report.
func (q *quantizing) outputs() []string {
	var list []string
	for _, path := range []string{q.flags.savePlan, q.flags.saveRecipe} {
		if path != "" {
			list = append(list, path)
		}
	}
	return list
}

// checkOutputs refuses outputs that exist, that are read, or that are one file, before any work.
func (q *quantizing) checkOutputs(model ...string) error {
	list := q.outputs()
	if !q.flags.dry {
		if q.flags.out == "" {
			return fault.Invalidf("-o", "is missing").WithHint("name the file to write, such as -o model.int8.onnx")
		}
		list = append(list, q.flags.out)
	}
	seen := map[string]bool{}
	if !q.flags.dry {
		seen[filepath.Clean(q.flags.out+reportSuffix)] = true
	}
	for _, path := range list {
		if err := atomicfile.Check(path, q.writeOptions(model...)); err != nil {
			return err
		}
		if seen[filepath.Clean(path)] {
			return fault.Invalidf(path, "is named for two outputs")
		}
		seen[filepath.Clean(path)] = true
	}
	if q.flags.dry {
		return nil
	}
	if err := journal.Check(q.flags.out + journalSuffix); err != nil {
		return err
	}
	return atomicfile.Check(q.flags.out+reportSuffix, q.reportOptions(q.flags.out))
}

func (q *quantizing) writeOptions(model ...string) atomicfile.Options {
	d := q.recipe.Data.Calib
	return atomicfile.Options{Force: q.force, Sources: append(model, q.flags.recipe, q.flags.plan, d.Path, d.Labels, d.Preprocess)}
}

// writeExtras writes the recipe and the plan where they are asked for.
func (q *quantizing) writeExtras(r *lowbit.Result) error {
	o := q.writeOptions(q.model.Path())
	if q.flags.saveRecipe != "" {
		b, err := q.recipe.Encode()
		if err != nil {
			return err
		}
		if err := atomicfile.Write(q.flags.saveRecipe, text(string(b)), o); err != nil {
			return err
		}
	}
	if q.flags.savePlan == "" {
		return nil
	}
	b, err := r.Plan.Encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(q.flags.savePlan, text(string(b)), o)
}

// save writes the model and its report.
func (q *quantizing) save(r *lowbit.Result) (*quantizeJSON, error) {
	before, err := q.model.Bytes()
	if err != nil {
		return nil, err
	}
	rep := &quantizeJSON{Schema: quantizeSchema, Output: filepath.Base(q.flags.out), BytesBefore: before, Quantized: r.Plan.Quantized(), Layers: []layerJSON{}, Fixes: []fixJSON{}, Warnings: r.Warnings}
	if rep.Warnings == nil {
		rep.Warnings = []string{}
	}
	if r.Gate != nil {
		rep.SQNR = &r.Gate.SQNR
		rep.Gate = &gateJSON{r.Gate.Samples, r.Gate.Fresh, round2(r.Gate.Error), r.Gate.Agree}
	}
	rep.Drawn, rep.Budget = drawnOf(r.Drawn), r.Effort.Budget.Seconds()
	for _, f := range r.Fixes {
		rep.Fixes = append(rep.Fixes, fixOf(f))
	}
	for _, n := range r.Plan.Nodes {
		rep.Layers = append(rep.Layers, layerOf(r.Plan, n))
	}
	start := time.Now()
	o := lowbit.SaveOptions{Force: q.force, Sources: q.writeOptions(q.model.Path()).Sources}
	err = q.saveTold(r.Model, q.flags.out, o, func(sum string, size int64) any {
		rep.SHA256, rep.BytesAfter = sum, size
		return rep
	})
	seconds := (r.Elapsed + time.Since(start)).Seconds()
	rep.Seconds, rep.Output = &seconds, q.flags.out
	return rep, err
}
