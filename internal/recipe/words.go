package recipe

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
	"lowbit/internal/strictyaml"
)

// words are what a key may say. lacking are words of the field that lowbit does not support: they
// are no slips of the pen.
type words struct {
	known, lacking []string
	fold           bool // capitals do not matter
}

func (w words) in(list []string, word string) bool {
	return slices.ContainsFunc(list, func(k string) bool { return k == word || w.fold && strings.EqualFold(k, word) })
}

func (w words) check(place, word string) error {
	if w.in(w.known, word) {
		return nil
	}
	if w.in(w.lacking, word) {
		e := fault.Unsupportedf(place, "%q is not supported", word)
		if len(w.known) > 0 {
			return e.WithHint("supported: %s", strings.Join(w.known, ", "))
		}
		return e
	}
	all := slices.Concat(w.known, w.lacking)
	return fault.Invalidf(place, "%q is not one of %s", word, strings.Join(all, ", ")).WithHint("did you mean %q?", strictyaml.Nearest(word, all))
}

func schemeWords() words {
	w := words{fold: true, lacking: []string{"mixed"}}
	for _, s := range plan.Schemes {
		w.known = append(w.known, s.Name)
	}
	return w
}

func targetWords() words {
	w := words{}
	for _, t := range plan.Targets {
		w.known = append(w.known, t.Name)
	}
	return w
}

func observerWords() words {
	w := namedObservers()
	w.known = append([]string{Auto}, w.known...)
	return w
}

// namedObservers lists the observers without the word that leaves the choice to a trial.
func namedObservers() words {
	w := words{}
	for _, o := range calib.All {
		w.known = append(w.known, o.Name)
		if o.Also != "" {
			w.known = append(w.known, o.Also)
		}
	}
	return w
}

func formatWords() words {
	w := words{}
	for _, f := range format.All {
		w.known = append(w.known, f.Name)
	}
	return w
}

var (
	modeWords  = words{known: []string{string(plan.Static), string(plan.Dynamic), string(plan.Weights), string(plan.Convert)}}
	scaleWords = words{known: []string{Auto, Exact, Fitted}}
	styleWords = words{known: []string{"qdq", "qoperator", "contrib"}}

	metricWords    = words{known: Metrics}
	algorithmWords = words{known: []string{"pareto"}}
	objectiveWords = words{known: []string{"accuracy", "latency", "size"}}
)

// Metrics are the words for what can be measured on samples.
var Metrics = []string{"top1", "top5", "mse", "ppl"}

// fixWords lists the repairs.
func fixWords() words {
	return words{known: append([]string{Auto, repair.None}, repair.Words()...)}
}

// checkWords holds the words of a filled recipe against those there are.
func (r *Recipe) checkWords() error {
	for _, k := range []struct {
		place, word string
		words       words
	}{
		{"scheme", r.Scheme, schemeWords()},
		{"mode", r.Mode, modeWords},
		{"target", r.Target, targetWords()},
		{"style", r.Style, styleWords},
		{"calibration.scales", r.Calibration.Scales, scaleWords},
		{"calibration.observer", r.Calibration.Observer, observerWords()},
	} {
		if err := k.words.check(k.place, k.word); err != nil {
			return err
		}
	}
	for _, f := range r.Fix {
		name, _, with := strings.Cut(f, "=")
		if err := fixWords().check("fix", name); err != nil {
			return err
		}
		if len(r.Fix) > 1 && (name == Auto || name == repair.None) {
			return fault.Invalidf("fix", "%q stands alone, not beside others", name).WithHint("name the repairs to make, or one of the words %s and %s", Auto, repair.None)
		}
		if with {
			if _, err := repair.Pick(f); err != nil {
				return err
			}
		}
	}
	if n := r.Calibration.Samples; n != nil && *n < 0 {
		return fault.Invalidf("calibration.samples", "%d is negative", *n)
	}
	if n := r.Calibration.Batch; n < 0 {
		return fault.Invalidf("calibration.batch", "%d is negative", n)
	}
	return r.checkSearch()
}

// checkSearch holds what the search for plans will read against what it can mean.
func (r *Recipe) checkSearch() error {
	for _, k := range []struct {
		place, word string
		words       words
	}{
		{"data.calib.metric", r.Data.Calib.Metric, metricWords},
		{"data.eval.metric", r.Data.Eval.Metric, metricWords},
		{"search.algorithm", r.Search.Algorithm, algorithmWords},
	} {
		if k.word == "" {
			continue
		}
		if err := k.words.check(k.place, k.word); err != nil {
			return err
		}
	}
	for i, word := range r.Search.Objectives {
		if err := objectiveWords.check(fmt.Sprintf("search.objectives[%d]", i), word); err != nil {
			return err
		}
	}
	if n := r.Search.MaxTrials; n < 0 {
		return fault.Invalidf("search.max_trials", "%d is negative", n)
	}
	drop := r.Accuracy.MaxDrop
	if v, err := strconv.ParseFloat(strings.TrimSuffix(drop, "%"), 64); drop != "" && (err != nil || !(v >= 0) || math.IsInf(v, 0)) {
		return fault.Invalidf("accuracy.max_drop", "%q is no number such as 0.01 or 1%%", drop)
	}
	return nil
}
