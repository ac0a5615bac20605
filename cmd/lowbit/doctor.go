package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/report"
)

type doctorFlags struct {
	metric, out string
	apply       bool
	offset      int
	data        dataFlags
}

func doctorCmd(a *app) *cobra.Command {
	d := &doctorFlags{}
	cmd := &cobra.Command{
		Use: "doctor FLOAT QUANTIZED --data DIR", Short: "Find out why a quantized model is worse, and mend it", Args: positional("FLOAT", "QUANTIZED"),
		Long: "doctor takes what is quantized out of a model piece by piece, whatever tool put it in, and names what is wrong where that costs most.\n" +
			"With --apply it writes a copy in which the faulty layers are quantized anew from the float model, and beside it\n" +
			"OUT" + reportSuffix + " with what --json prints.",
		Example: "  lowbit doctor model.onnx model.int8.onnx --data val/ --preprocess imagenet\n  lowbit doctor model.onnx model.int8.onnx --data val/ --labels val.csv --apply -o fixed.onnx",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.doctor(cmd.Context(), args[0], args[1], d) },
	}
	f := cmd.Flags()
	f.BoolVar(&d.apply, "apply", false, "mend what is found, and write the model that -o names")
	f.StringVarP(&d.out, "output", "o", "", "file to write with --apply")
	f.StringVar(&d.metric, "metric", "", "top1, top5, or mse from stored outputs: causes are ranked by it (default top1 where there are labels, else the SQNR of the outputs)")
	f.IntVar(&d.offset, "label-offset", 0, "add this to every label")
	d.data.add(cmd, 100)
	return cmd
}

const doctorSchema = "lowbit.doctor/v1"

// doctorJSON is what doctor prints with --json, and what the report beside a mended model holds.
type doctorJSON struct {
	Schema  string      `json:"schema"`
	Healthy bool        `json:"healthy"`
	Samples int         `json:"samples"`
	SQNR    float64     `json:"sqnr_db"`
	Few     int         `json:"sqnr_samples"` // that it and all ratios are of: some of the samples
	Metric  *metricJSON `json:"metric,omitempty"`
	Causes  []causeJSON `json:"causes"`
	Layers  []lossJSON  `json:"layers"`
	Fixed   *fixedJSON  `json:"fixed,omitempty"`
	Notes   []string    `json:"warnings"`
}

type metricJSON struct {
	Name      string  `json:"name"`
	Float     float64 `json:"float"`
	Quantized float64 `json:"quantized"`
}

type causeJSON struct {
	Name     string   `json:"name"`
	Op       string   `json:"op"`
	Value    string   `json:"value"`
	Cause    string   `json:"cause"`
	Evidence string   `json:"evidence"`
	Effect   string   `json:"effect"`
	Fix      string   `json:"fix"`
	Alone    float64  `json:"alone_db"`
	Without  float64  `json:"without_db"`
	Metric   *float64 `json:"metric_alone,omitempty"`
	MetricWO *float64 `json:"metric_without,omitempty"`
}

// lossJSON is what a layer loses by its weights and by its quantized input, each alone.
type lossJSON struct {
	Name    string  `json:"name"`
	Op      string  `json:"op"`
	Weights float64 `json:"weights_db"`
	Acts    float64 `json:"acts_db"`
}

type fixedJSON struct {
	Output string   `json:"output,omitempty"`
	Bytes  int64    `json:"bytes,omitempty"`
	SHA256 string   `json:"sha256,omitempty"`
	SQNR   float64  `json:"sqnr_db"`
	Metric *float64 `json:"metric,omitempty"`
	Made   []string `json:"made"`
}

func (a *app) doctor(ctx context.Context, float, quantized string, d *doctorFlags) error {
	if err := d.check(a, float, quantized); err != nil {
		return err
	}
	mf, mq, done, err := a.openBoth(float, quantized)
	if err != nil {
		return err
	}
	defer done()
	if err := d.check(a, slices.Concat(mf.Files(), mq.Files())...); err != nil {
		return err
	}
	out, diagnosis, err := a.examine(ctx, mf, mq, d)
	if err != nil {
		return err
	}
	if err := a.applyDoctor(d, diagnosis, out, float, quantized); err != nil {
		return err
	}
	if err := a.printDoctor(out); err != nil {
		return err
	}
	a.nextOfDoctor(d, out, float, quantized)
	if d.apply && !out.Healthy && out.Fixed == nil {
		return &fault.Error{Kind: fault.Gate, Place: quantized, Msg: "nothing that was tried mends it, so nothing is written"}
	}
	return nil
}

// examine finds out what is wrong, and tells of what stands in the way.
func (a *app) examine(ctx context.Context, float, quantized *lowbit.Model, d *doctorFlags) (*doctorJSON, *lowbit.Diagnosis, error) {
	src, by, err := a.doctorData(d, float, quantized)
	if err != nil {
		return nil, nil, err
	}
	defer src.Close()
	types, err := sampleTypes(src)
	if err != nil {
		return nil, nil, err
	}
	if err := a.admit(float, load{workers: a.threads, inputs: types, copies: 4}); err != nil {
		return nil, nil, err
	}
	thrift(repairSlack)
	o := lowbit.DiagnoseOptions{Data: src, Threads: a.threads, Progress: a.newProgress().update}
	if by != nil {
		o.Low, o.Score = by.low, a.scoreBy(src, by, d.offset)
	}
	diagnosis, err := lowbit.Diagnose(ctx, float, quantized, o)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range diagnosis.Warnings {
		a.warn("%s", w)
	}
	return diagnosed(diagnosis, by, src.Len()), diagnosis, nil
}

// nextOfDoctor names the command that probably comes next.
func (a *app) nextOfDoctor(d *doctorFlags, out *doctorJSON, float, quantized string) {
	switch {
	case d.apply && out.Fixed != nil:
		a.next("compare", float, d.out, "--data", d.data.path, "--per-layer")
	case out.Healthy:
		a.next("bench", quantized)
	case out.Fixed != nil:
		a.next("doctor", float, quantized, "--data", d.data.path, "--apply", "-o", "fixed.onnx")
	default:
		a.next("compare", float, quantized, "--data", d.data.path, "--per-layer")
	}
}

// sources are the files that are read, which no output replaces.
func (d *doctorFlags) sources(models ...string) []string { return append(models, d.data.sources()...) }

// check refuses outputs before any work.
func (d *doctorFlags) check(a *app, models ...string) error {
	switch {
	case d.apply && d.out == "":
		return fault.Invalidf("-o", "is missing").WithHint("name the file to write, such as -o fixed.onnx")
	case !d.apply && d.out != "":
		return fault.Invalidf("-o", "names a file, but nothing is to be written").WithHint("add --apply")
	case d.apply:
		if err := atomicfile.Check(d.out, atomicfile.Options{Force: a.force, Sources: d.sources(models...)}); err != nil {
			return err
		}
		return atomicfile.Check(d.out+reportSuffix, a.reportOptions(d.out))
	}
	return nil
}

// doctorData opens the samples and finds the metric: the one that is named, else top1 where there are labels.
func (a *app) doctorData(d *doctorFlags, float, quantized *lowbit.Model) (*dataset.Source, *metric, error) {
	var by *metric
	var err error
	if d.metric != "" {
		if by, err = lookupMetric(d.metric); err != nil {
			return nil, nil, err
		}
		d.data.outputs = !by.labels
	}
	d.data.seed = a.seed
	src, err := a.openData(&d.data, float, quantized)
	if err == nil && by == nil && src.Info().Labelled {
		by, err = lookupMetric("top1")
	}
	return src, by, err
}

// scoreBy measures a model by a metric on all samples.
func (a *app) scoreBy(src *dataset.Source, m *metric, offset int) func(ctx context.Context, model *lowbit.Model) (float64, error) {
	return func(ctx context.Context, model *lowbit.Model) (float64, error) {
		s, err := model.Compile(lowbit.CompileOptions{Threads: 1, Seed: a.seed})
		if err != nil {
			return 0, err
		}
		defer s.Close()
		g, err := a.measure(ctx, s, src, []*metric{m}, offset)
		if err != nil {
			return 0, err
		}
		return g.means[0], nil
	}
}

// diagnosed is a diagnosis as it is printed.
func diagnosed(d *lowbit.Diagnosis, m *metric, samples int) *doctorJSON {
	out := &doctorJSON{Schema: doctorSchema, Healthy: d.Healthy, Samples: samples, SQNR: d.SQNR, Few: d.Samples, Causes: []causeJSON{}, Layers: []lossJSON{}, Notes: []string{}}
	out.Notes = append(out.Notes, d.Warnings...)
	if d.Score != nil {
		out.Metric = &metricJSON{m.name, finite(d.Score[0]), finite(d.Score[1])}
	}
	for _, c := range d.Causes {
		j := causeJSON{Name: c.Name, Op: c.Op, Value: c.Value, Cause: c.Cause, Evidence: c.Evidence, Fix: c.Fix, Alone: c.Alone, Without: c.Without}
		j.Effect = fmt.Sprintf("alone it leaves %.1f dB of the outputs; without it they reach %.1f dB, with it %.1f dB", c.Alone, c.Without, d.SQNR)
		if c.Scores != nil {
			alone, without := finite(c.Scores[0]), finite(c.Scores[1])
			j.Metric, j.MetricWO = &alone, &without
			j.Effect = fmt.Sprintf("alone it takes %s from %.4g to %.4g, without it %s is %.4g; %s", m.name, d.Score[0], c.Scores[0], m.name, c.Scores[1], j.Effect)
		}
		out.Causes = append(out.Causes, j)
	}
	for _, l := range d.Layers {
		out.Layers = append(out.Layers, lossJSON{l.Name, l.Op, l.Weights, l.Acts})
	}
	if f := d.Fixed; f != nil {
		out.Fixed = &fixedJSON{SQNR: f.SQNR, Made: f.Made}
		if d.Score != nil {
			score := finite(f.Score)
			out.Fixed.Metric = &score
		}
	}
	return out
}

// finite is a score as JSON can have it: what is none, or has no bound, is the largest number.
func finite(score float64) float64 {
	if score != score {
		return math.MaxFloat64
	}
	return max(-math.MaxFloat64, min(score, math.MaxFloat64))
}

// applyDoctor writes the mended model and its report where that is asked for.
func (a *app) applyDoctor(d *doctorFlags, diagnosis *lowbit.Diagnosis, out *doctorJSON, float, quantized string) error {
	if !d.apply || diagnosis.Fixed == nil {
		return nil
	}
	o := lowbit.SaveOptions{Force: a.force, Sources: d.sources(float, quantized)}
	err := a.saveTold(diagnosis.Fixed.Model, d.out, o, func(sum string, size int64) any {
		out.Fixed.Output, out.Fixed.SHA256, out.Fixed.Bytes = filepath.Base(d.out), sum, size
		return out
	})
	out.Fixed.Output = d.out
	return err
}

func (a *app) printDoctor(d *doctorJSON) error {
	if a.json {
		return a.printJSON(d)
	}
	for i, c := range d.Causes {
		if err := a.printf("%d. %s: %s %q\n   evidence: %s\n   effect:   %s\n   fix:      %s\n", i+1, c.Cause, c.Op, c.Name, c.Evidence, c.Effect, cmp.Or(c.Fix, "none: nothing that was tried helps")); err != nil {
			return err
		}
	}
	if a.verbose {
		t := a.table("layer", "operator", "weights alone dB", "input alone dB")
		for _, l := range d.Layers {
			t.row(l.Name, l.Op, fmt.Sprintf("%.1f", l.Weights), fmt.Sprintf("%.1f", l.Acts))
		}
		if err := t.print(); err != nil {
			return err
		}
	}
	state := "healthy"
	if !d.Healthy {
		state = "not healthy"
	}
	line := fmt.Sprintf("%s: the outputs keep %.1f dB on %s", state, d.SQNR, report.Count(d.Few, "sample"))
	if d.Metric != nil {
		line += fmt.Sprintf(", %s %.4g, in float %.4g, on %s", d.Metric.Name, d.Metric.Quantized, d.Metric.Float, report.Count(d.Samples, "sample"))
	}
	if d.Fixed != nil {
		line += fmt.Sprintf("; mended %.1f dB", d.Fixed.SQNR)
		if d.Fixed.Metric != nil {
			line += fmt.Sprintf(", %s %.4g", d.Metric.Name, *d.Fixed.Metric)
		}
		if d.Fixed.Output != "" {
			line += ", in " + d.Fixed.Output
		}
	}
	return a.printf("%s\n", line)
}
