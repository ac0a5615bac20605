package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
)

// colors paint the word in front of a line on a terminal that shows them.
var colors = map[string]string{"error": "\x1b[31m", "warning": "\x1b[33m"}

// line writes a line of words to stderr, in the format that was asked for.
func (a *app) line(level, text string, fields map[string]any) {
	a.clearBar()
	if a.log == "json" {
		m := map[string]any{"level": level, "message": text}
		maps.Copy(m, fields)
		b, err := json.Marshal(m)
		if err == nil {
			fmt.Fprintf(a.err, "%s\n", b)
		}
		return
	}
	switch color := colors[level]; {
	case color == "":
		fmt.Fprintln(a.err, text)
	case a.terminal() && os.Getenv("NO_COLOR") == "":
		fmt.Fprintf(a.err, "%s%s:\x1b[0m %s\n", color, level, text)
	default:
		fmt.Fprintf(a.err, "%s: %s\n", level, text)
	}
}

// terminal says whether stderr is a terminal that understands more than lines.
func (a *app) terminal() bool {
	f, ok := a.err.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

func (a *app) warn(format string, args ...any) { a.line("warning", fmt.Sprintf(format, args...), nil) }

// say prints a line of words unless the user asked for quiet.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		a.line("info", fmt.Sprintf(format, args...), nil)
	}
}

// next names the command that probably comes next.
func (a *app) next(args ...string) { a.say("next: %s", commandLine(args)) }

// printJSON writes one document to stdout.
func (a *app) printJSON(v any) error {
	a.clearBar()
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printf writes a line of data to stdout.
func (a *app) printf(format string, args ...any) error {
	a.clearBar()
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// A grid is a table with a header that goes to stdout.
type grid struct {
	a *app
	w table.Writer
}

func (a *app) table(header ...any) *grid {
	t := table.NewWriter()
	t.AppendHeader(table.Row(header))
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.Options{SeparateColumns: false, SeparateHeader: true}
	t.Style().Format.Header = 0
	return &grid{a, t}
}

func (g *grid) row(cells ...any) { g.w.AppendRow(table.Row(cells)) }

func (g *grid) print() error { return g.a.printf("%s\n", g.w.Render()) }
