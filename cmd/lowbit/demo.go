package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/demo"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// Images of the demo, and the seeds that keep calibration and evaluation apart.
const (
	demoCalib, demoCalibSeed = 300, 1
	demoEval, demoEvalSeed   = 2000, 2
)

// A demoVariant is one way to quantize the demo's network.
type demoVariant struct {
	name  string
	mode  plan.Mode
	block format.BlockKind
}

var demoVariants = []demoVariant{
	{"static per channel", plan.Static, format.Channel},
	{"static per tensor", plan.Static, format.Whole},
	{"dynamic per channel", plan.Dynamic, format.Channel},
	{"dynamic per tensor", plan.Dynamic, format.Whole},
	{"weights per channel", plan.Weights, format.Channel},
	{"weights per tensor", plan.Weights, format.Whole},
}

func demoCmd(a *app) *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use: "demo", Short: "Quantize a small network in every way and compare", Args: positional(),
		Long:    "demo draws images of letters and digits, quantizes a small network that reads them in every way,\nmeasures each on 2,000 fresh images, and writes the models and report.html. It needs no files and no network.",
		Example: "  lowbit demo\n  lowbit demo --output /tmp/demo --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), dir) },
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "lowbit-demo", "folder to write to")
	return cmd
}

// demoRow is one line of the demo's table.
type demoRow struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Top1    float64 `json:"top1"`
	Drop    float64 `json:"drop"`
	Bytes   int64   `json:"bytes"`
	Latency float64 `json:"latency_ms"`
	Speedup float64 `json:"speedup"`
}

// demoRun is one run of the demo.
type demoRun struct {
	*app
	ctx         context.Context
	dir         string
	float       *lowbit.Model
	calib, eval *dataset.Source
	rows        []demoRow
	written     []string
}

func (a *app) demo(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.IOf(dir, err)
	}
	d := &demoRun{app: a, ctx: ctx, dir: dir}
	if err := d.checkOutputs(); err != nil {
		return err
	}
	err := d.run()
	if err != nil {
		for _, path := range d.written {
			os.Remove(path) // so that the same command can be given again
		}
	}
	return err
}

// run makes and measures every variant, and tells of them.
func (d *demoRun) run() error {
	a := d.app
	var err error
	if d.float, err = lowbit.Decode(demo.Model()); err != nil {
		return err
	}
	a.say("drawing %d images", demoCalib+demoEval)
	d.calib = glyphs("calibration images", demoCalibSeed, demoCalib)
	d.eval = glyphs("evaluation images", demoEvalSeed, demoEval)
	if err := d.add("float", demoFloat, d.float); err != nil {
		return err
	}
	for _, v := range demoVariants {
		if err := d.variant(v); err != nil {
			return fault.At(v.name, err)
		}
	}
	page := filepath.Join(d.dir, demoPage)
	if err := d.writePage(page); err != nil {
		return err
	}
	d.written = nil // all is there
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.demo/v1", "samples": demoEval, "variants": d.rows, "report": page})
	}
	t := a.table(demoHeader...)
	for _, r := range d.rows {
		t.row(r.cells()...)
	}
	if err := t.print(); err != nil {
		return err
	}
	a.next("inspect", filepath.Join(d.dir, d.rows[1].File))
	return a.printf("models and report.html are in %s\n", d.dir)
}

// file is the name of the model that a variant writes.
func (v demoVariant) file() string {
	block := "channel"
	if v.block == format.Whole {
		block = "tensor"
	}
	return fmt.Sprintf("%s-%s.onnx", v.mode, block)
}

// Names of the float network and of the page.
const (
	demoFloat = "float.onnx"
	demoPage  = "report.html"
)

// checkOutputs refuses files that exist before any work is done.
func (d *demoRun) checkOutputs() error {
	names := []string{demoFloat, demoPage}
	for _, v := range demoVariants {
		names = append(names, v.file())
	}
	for _, name := range names {
		if err := atomicfile.Check(filepath.Join(d.dir, name), atomicfile.Options{Force: d.force}); err != nil {
			return err
		}
	}
	return nil
}

// glyphs draws labelled images as samples.
func glyphs(name string, seed uint64, n int) *dataset.Source {
	images, labels := demo.Images(seed, n)
	x := tensor.Of[float32](images)
	size := len(x) / n
	info := dataset.Info{Form: "glyphs", Path: name, Total: n, Labelled: true}
	return dataset.New(info, func(i int) (*dataset.Sample, error) {
		t := tensor.Float32s(x[i*size:(i+1)*size], 1, 1, demo.Side, demo.Side)
		return &dataset.Sample{Name: fmt.Sprintf("glyph %d", i), Inputs: map[string]*lowbit.Tensor{demo.Input: t}, Label: labels[i]}, nil
	})
}

func (d *demoRun) variant(v demoVariant) error {
	set, err := plan.Default("W8A8")
	if err != nil {
		return err
	}
	set.Mode, set.Weights.Block.Kind = v.mode, v.block
	o := quantize.Options{Settings: set, Threads: d.threads}
	if v.mode == plan.Static {
		o.Data = d.calib
	}
	r, err := lowbit.QuantizeBy(d.ctx, d.float, o)
	if err != nil {
		return err
	}
	return d.add(v.name, v.file(), r.Model)
}

// add writes a model, measures it and adds its row.
func (d *demoRun) add(name, file string, m *lowbit.Model) error {
	d.say("%s", name)
	path := filepath.Join(d.dir, file)
	if err := m.Save(path, lowbit.SaveOptions{Force: d.force}); err != nil {
		return err
	}
	d.written = append(d.written, path)
	st, err := os.Stat(path)
	if err != nil {
		return fault.IOf(path, err)
	}
	s, err := m.Compile(lowbit.CompileOptions{Threads: 1})
	if err != nil {
		return err
	}
	g, err := d.measure(d.ctx, s, d.eval, []*metric{&metricTable[0]}, 0)
	if err != nil {
		return err
	}
	latency, err := d.latency(s)
	if err != nil {
		return err
	}
	r := demoRow{Name: name, File: file, Top1: g.means[0], Bytes: st.Size(), Latency: latency, Speedup: 1}
	if len(d.rows) > 0 {
		r.Drop = d.rows[0].Top1 - r.Top1
		r.Speedup = d.rows[0].Latency / latency
	}
	d.rows = append(d.rows, r)
	return nil
}

// latency is the median time of one image, in milliseconds.
func (d *demoRun) latency(s *lowbit.Session) (float64, error) {
	sample, err := d.eval.Sample(0)
	if err != nil {
		return 0, err
	}
	times := make([]float64, 300)
	for i := range times {
		start := time.Now()
		if _, err := s.Run(d.ctx, sample.Inputs); err != nil {
			return 0, err
		}
		times[i] = float64(time.Since(start).Nanoseconds()) / 1e6
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

var demoHeader = []any{"variant", "top-1 %", "drop pt", "bytes", "latency ms", "speed-up"}

func (r demoRow) cells() []any {
	return []any{r.Name, fmt.Sprintf("%.2f", 100*r.Top1), fmt.Sprintf("%.2f", 100*r.Drop), r.Bytes, fmt.Sprintf("%.3f", r.Latency), fmt.Sprintf("%.2f×", r.Speedup)}
}

// writePage writes report.html: the table and a chart of each column.
func (d *demoRun) writePage(path string) error {
	sec := report.Section{Heading: "Results", Text: fmt.Sprintf("Measured on %d images that calibration did not see; latency is the median of one image on one thread.", demoEval)}
	for _, h := range demoHeader {
		sec.Header = append(sec.Header, h.(string))
	}
	var names []string
	columns := make([][]float64, 3)
	for _, r := range d.rows {
		var cells []string
		for _, c := range r.cells() {
			cells = append(cells, fmt.Sprint(c))
		}
		sec.Rows = append(sec.Rows, cells)
		names = append(names, r.Name)
		for i, v := range []float64{100 * r.Top1, float64(r.Bytes) / 1e3, r.Latency} {
			columns[i] = append(columns[i], v)
		}
	}
	for i, c := range []struct{ title, unit string }{{"Accuracy", "top-1 %"}, {"Size", "kB"}, {"Latency", "ms"}} {
		text, err := report.Bars(c.title, c.unit, names, columns[i])
		if err != nil {
			return err
		}
		sec.AddPlot(text)
	}
	page := &report.Page{Title: "lowbit demo", Lead: "A small network that reads letters and digits, quantized in every way.", Sections: []report.Section{sec}}
	return atomicfile.Write(path, func(w io.Writer) error { return page.WriteHTML(w) }, atomicfile.Options{Force: d.force})
}
