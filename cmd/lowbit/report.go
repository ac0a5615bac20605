package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/report"
)

func reportCmd(a *app) *cobra.Command {
	out := ""
	cmd := &cobra.Command{
		Use: "report DIR -o OUT", Short: "Write a page on the quantized models in a folder", Args: positional("DIR"),
		Long: "report reads every NAME" + reportSuffix + " that quantize or doctor wrote into a folder, and every NAME" + compareSuffix + " that holds what\n" +
			"compare --per-layer --json printed, and writes one self-contained HTML page.",
		Example: "  lowbit report run/ -o report.html\n  lowbit report . -o report.html --force",
		RunE:    func(_ *cobra.Command, args []string) error { return a.report(args[0], out) },
	}
	cmd.Flags().StringVarP(&out, "output", "o", "report.html", "page to write")
	return cmd
}

func (a *app) report(dir, out string) error {
	reports, err := inFolder(dir, reportSuffix)
	if err != nil {
		return err
	}
	comparisons, err := inFolder(dir, compareSuffix)
	if err != nil {
		return err
	}
	o := atomicfile.Options{Force: a.force, Sources: slices.Concat(reports, comparisons)}
	if err := atomicfile.Check(out, o); err != nil {
		return err
	}
	list, err := readReports(dir, reports)
	if err != nil {
		return err
	}
	page, err := reportPage(list)
	if err != nil {
		return err
	}
	if err := addComparisons(page, comparisons); err != nil {
		return err
	}
	if err := atomicfile.Write(out, func(w io.Writer) error { return page.WriteHTML(w) }, o); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.report/v1", "models": len(list), "output": out})
	}
	a.next("bench", filepath.Join(dir, list[0].row()[0]))
	return a.printf("%s: %s\n", out, report.Count(len(list), "model"))
}

// inFolder lists the files in a folder whose names end so, or are that without the dot, by name.
func inFolder(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.IOf(dir, err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), strings.TrimPrefix(suffix, ".")) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// readReports reads the reports that a folder holds.
func readReports(dir string, paths []string) ([]told, error) {
	var list []told
	for _, p := range paths {
		r, err := readReport(p)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil, fault.Invalidf(dir, "holds no reports").WithHint("lowbit quantize writes NAME%s beside each output", reportSuffix)
	}
	return list, nil
}

// compareSuffix follows the name of a model in that of a comparison.
const compareSuffix = ".compare.json"

// addComparisons adds the sections of comparisons.
func addComparisons(page *report.Page, paths []string) error {
	for _, p := range paths {
		b, err := readLimited(p, maxReport)
		if err != nil {
			return err
		}
		c := &compareJSON{}
		if err := json.Unmarshal(b, c); err != nil {
			return fault.Invalidf(p, "%v", err)
		}
		if c.Schema != compareSchema {
			return fault.Invalidf(p, "schema %q is not %q", c.Schema, compareSchema)
		}
		list, err := compareSections(strings.TrimSuffix(filepath.Base(p), compareSuffix)+", layer by layer", c)
		if err != nil {
			return err
		}
		page.Sections = append(page.Sections, list...)
	}
	return nil
}

// reportPage tells of the quantized models of some reports, and of the mended ones.
func reportPage(list []told) (*report.Page, error) {
	page := &report.Page{Title: "lowbit report", Lead: "What quantization made of each model. SQNR is signal to quantization noise: of a model, at its outputs; of a layer, of its weights."}
	all := report.Section{Heading: "Models", Header: []string{"model", "bytes", "of the original %", "SQNR dB", "nodes quantized"}}
	var names []string
	var kilobytes []float64
	for _, r := range list {
		row, bytes := r.row(), r.size()
		all.Rows = append(all.Rows, row)
		names, kilobytes = append(names, row[0]), append(kilobytes, float64(bytes)/1e3)
	}
	plot, err := report.Bars("Size", "kB", names, kilobytes)
	if err != nil {
		return nil, err
	}
	all.AddPlot(plot)
	page.Sections = append(page.Sections, all)
	for _, r := range list {
		sec, err := r.section()
		if err != nil {
			return nil, err
		}
		page.Sections = append(page.Sections, *sec)
	}
	return page, nil
}

func (r *quantizeJSON) size() int64 { return r.BytesAfter }

func (r *quantizeJSON) row() []string {
	sqnr := ""
	if r.SQNR != nil {
		sqnr = fmt.Sprintf("%.2f", *r.SQNR)
	}
	part := fmt.Sprintf("%.1f", 100*float64(r.BytesAfter)/float64(max(1, r.BytesBefore)))
	return []string{r.Output, fmt.Sprint(r.BytesAfter), part, sqnr, fmt.Sprintf("%d of %d", r.Quantized, len(r.Layers))}
}

func (d *doctorJSON) size() int64 { return d.Fixed.Bytes }

func (d *doctorJSON) row() []string {
	return []string{d.Fixed.Output, fmt.Sprint(d.Fixed.Bytes), "", fmt.Sprintf("%.2f", d.Fixed.SQNR), ""}
}

// section lists what doctor found wrong with the model that it mended.
func (d *doctorJSON) section() (*report.Section, error) {
	sec := &report.Section{Heading: d.Fixed.Output, Header: []string{"cause", "node", "operator", "evidence", "effect", "fix"}}
	sec.Text = fmt.Sprintf("Mended by doctor: %.2f → %.2f dB at the outputs over %s. %s", d.SQNR, d.Fixed.SQNR, report.Count(cmp.Or(d.Few, d.Samples), "sample"), strings.Join(d.Fixed.Made, "; "))
	for _, c := range d.Causes {
		sec.Rows = append(sec.Rows, []string{c.Cause, c.Name, c.Op, c.Evidence, c.Effect, c.Fix})
	}
	return sec, nil
}

// plottedLayers is how many of the layers with the noisiest weights a page plots.
const plottedLayers = 20

// section lists a model's layers and plots the noisiest.
func (r *quantizeJSON) section() (*report.Section, error) {
	sec := &report.Section{Heading: r.Output, Text: strings.Join(r.Warnings, "; "), Header: []string{"node", "operator", "weights", "activations", "SQNR dB", "reason"}}
	var noisy []layerJSON
	for _, l := range r.Layers {
		if l.ratio() != "" {
			noisy = append(noisy, l)
		}
		sec.Rows = append(sec.Rows, []string{l.Name, l.Op, l.Weights, l.Acts, l.ratio(), l.Reason})
	}
	if len(noisy) == 0 {
		return sec, nil
	}
	slices.SortStableFunc(noisy, func(x, y layerJSON) int { return cmp.Compare(*x.SQNR, *y.SQNR) })
	noisy = noisy[:min(len(noisy), plottedLayers)]
	var names []string
	var sqnr []float64
	for _, l := range noisy {
		names, sqnr = append(names, l.Name), append(sqnr, *l.SQNR)
	}
	plot, err := report.Ratios("Weights with the most noise", "SQNR dB", names, sqnr)
	if err != nil {
		return nil, err
	}
	sec.AddPlot(plot)
	return sec, nil
}
