package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/fault"
	"lowbit/internal/report"
)

type compareFlags struct {
	layers  bool
	minSQNR string
	backend string
	data    dataFlags
}

func compareCmd(a *app) *cobra.Command {
	c := &compareFlags{}
	cmd := &cobra.Command{
		Use: "compare A B --data DIR", Short: "Measure how far two models differ", Args: cobra.ExactArgs(2),
		Example: "  lowbit compare model.onnx model.int8.onnx --data val/\n  lowbit compare a.onnx b.onnx --data val/ --per-layer --min-sqnr 30dB",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.compare(cmd.Context(), args[0], args[1], c) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.layers, "per-layer", false, "compare every value that both models name alike")
	f.StringVar(&c.minSQNR, "min-sqnr", "", "fail unless the outputs reach this ratio, such as 30dB")
	f.StringVar(&c.backend, "backend", "engine", "engine or reference")
	c.data.add(cmd, 100)
	return cmd
}

// compareJSON is what compare prints with --json.
type compareJSON struct {
	Schema  string         `json:"schema"`
	Samples int            `json:"samples"`
	SQNR    float64        `json:"sqnr_db"`
	Cosine  float64        `json:"cosine"`
	MaxAbs  float64        `json:"max_abs"`
	Agree   float64        `json:"top1_agreement"`
	Layers  []layerDifJSON `json:"layers"`
}

type layerDifJSON struct {
	Name   string  `json:"name"`
	SQNR   float64 `json:"sqnr_db"`
	Cosine float64 `json:"cosine"`
	MaxAbs float64 `json:"max_abs"`
}

func (a *app) compare(ctx context.Context, pathA, pathB string, c *compareFlags) error {
	least, err := decibels(c.minSQNR)
	if err != nil {
		return err
	}
	ma, err := lowbit.Open(pathA)
	if err != nil {
		return err
	}
	defer ma.Close()
	mb, err := lowbit.Open(pathB)
	if err != nil {
		return err
	}
	defer mb.Close()
	cmp, err := a.comparison(ctx, ma, mb, c)
	if err != nil {
		return err
	}
	out := &compareJSON{Schema: "lowbit.compare/v1", Samples: cmp.Samples, SQNR: cmp.Outputs.SQNR(), Cosine: cmp.Outputs.Cosine(),
		MaxAbs: cmp.Outputs.MaxAbs(), Agree: float64(cmp.Agree) / float64(cmp.Samples), Layers: []layerDifJSON{}}
	for _, name := range cmp.LayerNames() {
		d := cmp.Layers[name]
		out.Layers = append(out.Layers, layerDifJSON{name, d.SQNR(), d.Cosine(), d.MaxAbs()})
	}
	if a.json {
		err = a.printJSON(out)
	} else {
		err = a.printCompare(out)
	}
	if err == nil && c.minSQNR != "" && out.SQNR < least {
		return &fault.Error{Kind: fault.Gate, Place: pathB, Msg: fmt.Sprintf("%.2f dB is below %g dB", out.SQNR, least)}
	}
	return err
}

func decibels(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(s, "dB"), "db")), 64)
	if err != nil {
		return 0, fault.Invalidf("--min-sqnr", "%q is not a number of dB", s)
	}
	return v, nil
}

func (a *app) printCompare(c *compareJSON) error {
	if len(c.Layers) > 0 {
		t := a.table("value", "SQNR dB", "cosine", "max abs")
		for _, l := range c.Layers {
			t.AppendRow(table.Row{l.Name, fmt.Sprintf("%.2f", l.SQNR), fmt.Sprintf("%.6f", l.Cosine), fmt.Sprintf("%.4g", l.MaxAbs)})
		}
		t.Render()
	}
	_, err := fmt.Fprintf(a.out, "outputs over %d samples: %.2f dB, cosine %.6f, max abs %.4g, same top class %.1f %%\n", c.Samples, c.SQNR, c.Cosine, c.MaxAbs, 100*c.Agree)
	return err
}

// comparison runs the samples through both models.
func (a *app) comparison(ctx context.Context, ma, mb *lowbit.Model, c *compareFlags) (*report.Comparison, error) {
	src, err := a.openData(&c.data, ma)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	o := lowbit.CompileOptions{Threads: a.threads, Reference: c.backend == "reference"}
	if c.layers {
		o.Watch = sharedValues(ma, mb)
	}
	sa, err := ma.Compile(o)
	if err != nil {
		return nil, fault.At(ma.Path(), err)
	}
	sb, err := mb.Compile(o)
	if err != nil {
		return nil, fault.At(mb.Path(), err)
	}
	cmp, p := &report.Comparison{}, a.newProgress()
	pair := report.Pair{A: sa, B: sb, Outputs: ma.Graph().Graph.Out}
	for i := range src.Len() {
		s, err := src.Sample(i)
		if err != nil {
			return nil, err
		}
		if err := cmp.Add(ctx, pair, s.Inputs); err != nil {
			return nil, fault.At(s.Name, err)
		}
		p.update("compare", i+1, src.Len())
	}
	return cmp, nil
}

// sharedValues lists the values of the main graphs that nodes of both models write.
func sharedValues(a, b *lowbit.Model) []string {
	in := map[string]bool{}
	for _, n := range a.Graph().Graph.Nodes {
		for _, o := range n.Out {
			in[o] = o != ""
		}
	}
	var list []string
	for _, n := range b.Graph().Graph.Nodes {
		for _, o := range n.Out {
			if in[o] {
				list = append(list, o)
			}
		}
	}
	return list
}
