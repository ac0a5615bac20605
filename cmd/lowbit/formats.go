package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"lowbit/internal/format"
	"lowbit/internal/plan"
)

// formatJSON is one line of formats --json.
type formatJSON struct {
	Name   string  `json:"name"`
	Bits   float64 `json:"bits_per_weight"`
	Kind   string  `json:"kind"`
	Export string  `json:"export"`
}

func formatsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "formats", Short: "List the number formats", Args: cobra.NoArgs,
		Example: "  lowbit formats\n  lowbit formats --json",
		RunE: func(*cobra.Command, []string) error {
			rows := make([]formatJSON, len(format.All))
			for i, f := range format.All {
				rows[i] = formatJSON{f.Name, float64(f.Bits), string(f.Kind), fmt.Sprintf("DequantizeLinear %s, opset %d", f.Elem, max(13, f.Opset))}
			}
			if a.json {
				return a.printJSON(rows)
			}
			t := a.table("format", "bits", "kind", "codes", "export")
			for i, f := range format.All {
				t.AppendRow(table.Row{f.Name, f.Bits, f.Kind, fmt.Sprintf("%d…%d", f.Lo, f.Hi), rows[i].Export})
			}
			t.Render()
			return nil
		},
	}
}

func targetsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "targets", Short: "List the runtimes that files can be made for", Args: cobra.NoArgs,
		Example: "  lowbit targets\n  lowbit targets --json",
		RunE: func(*cobra.Command, []string) error {
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
				return a.printJSON(rows)
			}
			t := a.table("target", "what", "activations")
			for _, g := range plan.Targets {
				t.AppendRow(table.Row{g.Name, g.Doc, g.Acts})
			}
			t.Render()
			return nil
		},
	}
}

// table returns a plain table with a header that prints to stdout.
func (a *app) table(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	t.AppendHeader(table.Row(header))
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.Options{SeparateColumns: false, SeparateHeader: true}
	t.Style().Format.Header = 0
	return t
}
