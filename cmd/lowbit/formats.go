package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lowbit/internal/format"
	"lowbit/internal/plan"
)

// formatJSON is one line of formats --json.
type formatJSON struct {
	Name    string             `json:"name"`
	Bits    float64            `json:"bits_per_weight"`
	Kind    string             `json:"kind"`
	Export  string             `json:"export"`
	Acts    string             `json:"acts,omitempty"`    // format of the activations in speedup
	Speedup map[string]float64 `json:"speedup,omitempty"` // over float32, sum for sum, by product
	Faster  map[string]float64 `json:"speedup_over_winograd,omitempty"`
	Slow    []string           `json:"not_accelerated,omitempty"`
	Pairs   []pairJSON         `json:"pairs,omitempty"`           // all formats of activations that were measured
	SQNR    *float64           `json:"sqnr_db,omitempty"`         // of normal weights
	Laplace *float64           `json:"sqnr_laplace_db,omitempty"` // of weights with longer tails
}

func formatsCmd(a *app) *cobra.Command {
	bench := false
	cmd := &cobra.Command{
		Use: "formats [NAME...]", Short: "List the number formats",
		Example:           "  lowbit formats\n  lowbit formats binary log4 --bench --json",
		ValidArgsFunction: cobra.FixedCompletions(strings.Fields(format.Names()), cobra.ShellCompDirectiveNoFileComp),
		RunE:              func(cmd *cobra.Command, names []string) error { return a.formats(cmd, names, bench) },
	}
	cmd.Flags().BoolVar(&bench, "bench", false, "measure each format's speed and error on this machine")
	return cmd
}

func (a *app) formats(cmd *cobra.Command, names []string, bench bool) error {
	all := format.All
	if len(names) > 0 {
		all = nil
	}
	for _, n := range names {
		f := format.Lookup(n)
		if f == nil {
			return oneOf("format", n, strings.Fields(format.Names())...)
		}
		all = append(all, f)
	}
	rows := make([]formatJSON, len(all))
	var list []yardstick
	p := a.newProgress()
	if bench {
		var err error
		if list, err = a.yardsticks(cmd.Context()); err != nil {
			return err
		}
	}
	for i, f := range all {
		rows[i] = formatJSON{Name: f.Name, Bits: f.BitsPerWeight(), Kind: string(f.Kind), Export: fmt.Sprintf("%s of %s, opset %d", f.Via, f.Elem, max(13, f.Opset))}
		if bench {
			normal, laplace := f.SampleSQNR(format.Distributions[0]), f.SampleSQNR(format.Distributions[1])
			rows[i].SQNR, rows[i].Laplace = &normal, &laplace
			if err := a.benchFormat(cmd.Context(), list, f, &rows[i]); err != nil {
				return err
			}
			p.update("formats", i+1, len(all))
		}
	}
	if a.json {
		return a.printJSON(rows)
	}
	if err := a.formatTable(all, rows, bench); err != nil {
		return err
	}
	if bench {
		a.next("quantize", "model.onnx", "-o", "out.onnx", "--weights", rows[0].Name)
	} else {
		a.next("formats", "--bench")
	}
	return nil
}

func (a *app) formatTable(all []*format.Format, rows []formatJSON, bench bool) error {
	header := []any{"format", "bits/weight", "kind", "marks", "export"}
	if bench {
		header = append(header, "dB normal", "dB Laplace", "activations")
		for _, s := range formatShapes {
			header = append(header, s.name)
		}
	}
	t := a.table(header...)
	for i, f := range all {
		cells := []any{f.Name, fmt.Sprintf("%.4g", rows[i].Bits), f.Kind, marks(f), rows[i].Export}
		if bench && rows[i].Speedup == nil {
			cells = append(cells, "not supported")
		} else if bench {
			cells = append(cells, fmt.Sprintf("%.1f", *rows[i].SQNR), fmt.Sprintf("%.1f", *rows[i].Laplace))
			pairs(t, cells, rows[i].Pairs)
			continue
		}
		t.row(cells...)
	}
	if err := t.print(); err != nil {
		return err
	}
	return a.outrun(rows)
}

// outrun says in which products int8 is faster than signs, which then save memory alone.
func (a *app) outrun(rows []formatJSON) error {
	speed := map[string]map[string]float64{}
	for _, r := range rows {
		speed[r.Name] = r.Speedup
	}
	signs := speed[format.Binary.Name]
	for _, s := range formatShapes {
		if bytes := speed[format.Int8.Name][s.name]; signs != nil && bytes > signs[s.name] {
			if err := a.printf("int8 outruns binary in %s: %.2f× against %.2f×\n", s.name, bytes, signs[s.name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// pairs adds a line for each format of activations; a speed-up that is none is marked.
func pairs(t *grid, cells []any, list []pairJSON) {
	for _, p := range list {
		line := append(slices.Clone(cells), p.Acts)
		for _, s := range formatShapes {
			line = append(line, p.cell(s.name))
		}
		t.row(line...)
		for i := range cells {
			cells[i] = ""
		}
	}
}

// cell writes the speed-up of a product, and in brackets the one over float32 in Winograd's form.
func (p *pairJSON) cell(product string) string {
	text := fmt.Sprintf("%.2f×", p.Speedup[product])
	if v, ok := p.Faster[product]; ok {
		text += fmt.Sprintf(" (%.2f×)", v)
	}
	if p.real(product) < accelerates {
		text += " slow"
	}
	return text
}

// marks tells which numbers a format holds, before they are scaled.
func marks(f *format.Format) string {
	if len(f.Marks) == 0 && f.Lo < f.Hi {
		return fmt.Sprintf("%d…%d", f.Lo, f.Hi)
	}
	if len(f.Marks) == 0 {
		return f.Elem.String()
	}
	var list []float32
	for _, m := range f.Marks {
		if m == m {
			list = append(list, m)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) > 4 {
		return fmt.Sprintf("%d from %.3g to %.3g", len(list), list[0], list[len(list)-1])
	}
	return strings.Trim(fmt.Sprint(list), "[]")
}

func targetsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "targets", Short: "List the runtimes that files can be made for", Args: positional(),
		Example: "  lowbit targets\n  lowbit targets --json",
		RunE:    func(*cobra.Command, []string) error { return a.targets() },
	}
}

func (a *app) targets() error {
	if a.json {
		type row struct {
			Name string `json:"name"`
			Doc  string `json:"doc"`
			Acts string `json:"acts"`
		}
		var rows []row
		for _, t := range plan.Targets {
			rows = append(rows, row{t.Name, t.Doc, t.Acts})
		}
		return a.printJSON(map[string]any{"schema": "lowbit.targets/v1", "targets": rows})
	}
	t := a.table("target", "what", "activations")
	for _, g := range plan.Targets {
		t.row(g.Name, g.Doc, g.Acts)
	}
	if err := t.print(); err != nil {
		return err
	}
	a.next("quantize", "model.onnx", "-o", "out.onnx", "--target", plan.Targets[0].Name)
	return nil
}
