package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/report"
)

type compareFlags struct {
	layers  bool
	page    string
	minSQNR decibels
	backend backend
	data    dataFlags
}

func compareCmd(a *app) *cobra.Command {
	c := &compareFlags{}
	cmd := &cobra.Command{
		Use: "compare A B --data DIR", Short: "Measure how far two models differ", Args: positional("A", "B"),
		Example: "  lowbit compare model.onnx model.int8.onnx --data val/\n  lowbit compare a.onnx b.onnx --data val/ --per-layer --report report.html --min-sqnr 30dB",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.compare(cmd, args[0], args[1], c) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.layers, "per-layer", false, "compare every value that both models compute: noise, ranges, histograms, and, on 16 samples at most, the sensitivity of each layer")
	f.StringVar(&c.page, "report", "", "with --per-layer: write a page with plots to this file, such as report.html")
	f.Var(&c.minSQNR, "min-sqnr", "fail unless the outputs reach this ratio, such as 30dB")
	c.backend.add(cmd)
	c.data.add(cmd, 100)
	return cmd
}

const compareSchema = "lowbit.compare/v1"

// compareJSON is what compare prints with --json.
type compareJSON struct {
	Schema  string         `json:"schema"`
	Samples int            `json:"samples"`
	SQNR    float64        `json:"sqnr_db"`
	Cosine  float64        `json:"cosine"`
	MaxAbs  float64        `json:"max_abs"`
	Agree   float64        `json:"top1_agreement"`
	Apart   int            `json:"outputs_apart,omitempty"` // outputs of other sizes, which are not compared
	Outputs []outputJSON   `json:"outputs"`                 // those that are compared, each by itself
	Layers  []layerDifJSON `json:"layers"`
}

// worstTold is how many outputs are told of by name.
const worstTold = 4

// worst names the outputs that differ most.
func (c *compareJSON) worst() string {
	list := slices.Clone(c.Outputs)
	slices.SortStableFunc(list, func(a, b outputJSON) int { return cmp.Compare(a.SQNR, b.SQNR) })
	var each []string
	for _, o := range list[:min(worstTold, len(list))] {
		each = append(each, fmt.Sprintf("%s %.2f dB", o.Name, o.SQNR))
	}
	return strings.Join(each, ", ")
}

// outputJSON is what is told of one output. What is told of all is what the worst comes to.
type outputJSON struct {
	Name   string  `json:"name"`
	SQNR   float64 `json:"sqnr_db"`
	Cosine float64 `json:"cosine"`
	MaxAbs float64 `json:"max_abs"`
}

// String sums up how the outputs differ.
func (c *compareJSON) String() string {
	text := fmt.Sprintf("outputs over %s: %.2f dB, cosine %.6f, max abs %s, same top class %s", report.Count(c.Samples, "sample"), c.SQNR, c.Cosine, report.Largest(c.MaxAbs), report.Percent(c.Agree))
	if len(c.Outputs) > 1 {
		text += "; the worst " + c.worst()
	}
	if c.Apart > 0 {
		text += fmt.Sprintf("; not compared for other sizes: %s", report.Count(c.Apart, "output"))
	}
	return text
}

// layerDifJSON is what is told of one value: the difference, the smallest and largest number in each model,
// how often numbers occur there, and of the result of a layer with weights what it costs by itself.
type layerDifJSON struct {
	Name    string      `json:"name"`
	SQNR    float64     `json:"sqnr_db"`
	Cosine  float64     `json:"cosine"`
	MaxAbs  float64     `json:"max_abs"`
	RangeA  [2]float64  `json:"range_a"`
	RangeB  [2]float64  `json:"range_b"`
	Hist    report.Hist `json:"histogram"`
	Alone   *float64    `json:"alone_db,omitempty"`   // of the outputs, where this layer alone is quantized
	Weights *float64    `json:"weights_db,omitempty"` // of its result, by its weights alone
	Acts    *float64    `json:"acts_db,omitempty"`    // and by its quantized input alone
}

func (a *app) compare(cmd *cobra.Command, pathA, pathB string, c *compareFlags) error {
	if err := c.check(a, pathA, pathB); err != nil {
		return err
	}
	ma, mb, done, err := a.openBoth(pathA, pathB)
	if err != nil {
		return err
	}
	defer done()
	if err := c.check(a, slices.Concat(ma.Files(), mb.Files())...); err != nil {
		return err
	}
	out, err := a.comparison(cmd.Context(), ma, mb, c)
	if err != nil {
		return err
	}
	if c.page != "" {
		if err := a.comparePage(c.page, pathA, pathB, out); err != nil {
			return err
		}
	}
	if a.json {
		err = a.printJSON(out)
	} else {
		err = a.printCompare(out)
	}
	if c.layers {
		a.next("doctor", pathA, pathB, "--data", c.data.path)
	} else {
		a.next("compare", pathA, pathB, "--data", c.data.path, "--per-layer")
	}
	if err == nil && cmd.Flags().Changed("min-sqnr") && out.SQNR < float64(c.minSQNR) {
		return &fault.Error{Kind: fault.Gate, Place: pathB, Msg: fmt.Sprintf("%.2f dB is below %s", out.SQNR, &c.minSQNR)}
	}
	return err
}

// check refuses outputs before any work.
func (c *compareFlags) check(a *app, paths ...string) error {
	switch {
	case c.page == "":
		return nil
	case !c.layers:
		return fault.Invalidf("--report", "shows layers").WithHint("add --per-layer")
	}
	return atomicfile.Check(c.page, atomicfile.Options{Force: a.force, Sources: append(paths, c.data.sources()...)})
}

func (a *app) printCompare(c *compareJSON) error {
	if len(c.Layers) > 0 {
		t := a.table("value", "SQNR dB", "cosine", "max abs", "range", "range after", "values", "values after", "alone dB")
		for _, l := range c.Layers {
			alone := ""
			if l.Alone != nil {
				alone = fmt.Sprintf("%.1f", *l.Alone)
			}
			t.row(l.Name, fmt.Sprintf("%.2f", l.SQNR), fmt.Sprintf("%.6f", l.Cosine), report.Largest(l.MaxAbs), report.Range(l.RangeA, l.Hist.Before), report.Range(l.RangeB, l.Hist.After), spark(l.Hist.Before), spark(l.Hist.After), alone)
		}
		if err := t.print(); err != nil {
			return err
		}
	}
	return a.printf("%v\n", c)
}

// comparison runs the samples through both models.
func (a *app) comparison(ctx context.Context, ma, mb *lowbit.Model, c *compareFlags) (*compareJSON, error) {
	c.data.seed = a.seed
	src, err := a.openData(&c.data, ma, mb)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	types, err := sampleTypes(src)
	if err != nil {
		return nil, err
	}
	var same pairing
	if c.layers {
		same = pairValues(ma.Graph().Graph, mb.Graph().Graph)
		same.factors, _ = lowbit.Factors(ma, mb) // an error means that B is not made from A: it has none
	}
	l := load{workers: 1, inputs: types, copies: 1}
	sa, err := a.compile(ma, c.backend, l, same.a...)
	if err != nil {
		return nil, err
	}
	sb, err := a.compile(mb, c.backend, l, same.b...)
	if err != nil {
		return nil, err
	}
	values, err := newSpans()
	if err != nil {
		return nil, err
	}
	pair := report.Pair{A: sa, B: sb, Outputs: ma.Graph().Graph.Out, NameInB: same.nameInB, ReadB: same.read}
	if c.layers {
		pair.See = values.see
	}
	found, err := a.runPair(ctx, pair, src)
	if err != nil {
		return nil, err
	}
	out := compared(found, pair.Outputs, same.a, values)
	if c.layers {
		err = a.addLosses(ctx, ma, mb, src, out)
	}
	return out, err
}

// runPair runs every sample through both models.
func (a *app) runPair(ctx context.Context, pair report.Pair, src *dataset.Source) (*report.Comparison, error) {
	found, p := &report.Comparison{}, a.newProgress()
	for i := range src.Len() {
		s, err := src.Sample(i)
		if err != nil {
			return nil, err
		}
		if err := found.Add(ctx, pair, s.Inputs); err != nil {
			return nil, fault.At(s.Name, err)
		}
		p.update("compare", i+1, src.Len())
	}
	return found, nil
}

// compared sums up a comparison, its layers in the order in which the first model computes them.
func compared(found *report.Comparison, outs []*graph.Value, order []string, values *spans) *compareJSON {
	out := &compareJSON{Schema: compareSchema, Samples: found.Samples, SQNR: found.Outputs.SQNR(), Cosine: found.Outputs.Cosine(),
		MaxAbs: found.Outputs.MaxAbs(), Agree: float64(found.Agree) / float64(found.Samples), Apart: found.Outputs.Apart(), Outputs: []outputJSON{}, Layers: []layerDifJSON{}}
	for i, d := range found.Outputs {
		if d.Len() > 0 {
			out.Outputs = append(out.Outputs, outputJSON{outs[i].Name, d.SQNR(), d.Cosine(), d.MaxAbs()})
		}
	}
	for _, name := range order {
		if d := found.Layers[name]; d != nil {
			l := layerDifJSON{Name: name, SQNR: d.SQNR(), Cosine: d.Cosine(), MaxAbs: d.MaxAbs()}
			values.fill(&l)
			out.Layers = append(out.Layers, l)
		}
	}
	return out
}
