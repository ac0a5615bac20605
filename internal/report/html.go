package report

import (
	"fmt"
	"html/template"
	"io"
)

// A Page is a report for people: one self-contained HTML file.
type Page struct {
	Title    string
	Lead     string
	Sections []Section
}

// A Section has plots, a table, or both.
type Section struct {
	Heading string
	Text    string
	Header  []string
	Rows    [][]string
	Plots   []template.HTML // SVG
	Small   []template.HTML // SVG, two beside each other
	Fold    bool            // the table opens when it is asked for
}

// AddPlot appends a chart to the section; the text is SVG from this package.
func (s *Section) AddPlot(text string) { s.Plots = append(s.Plots, template.HTML(text)) }

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a202c}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #e2e8f0}
th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}figure{margin:1rem 0}
.small{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}.wide{overflow-x:auto}
td,th{font-variant-numeric:tabular-nums}summary{cursor:pointer}
svg text{font-family:"Liberation Sans",Arial,Helvetica,sans-serif!important}
@media(prefers-color-scheme:dark){svg{background:#fff}body{background:#1a202c;color:#e2e8f0}}
</style></head><body>
<h1>{{.Title}}</h1><p>{{.Lead}}</p>
{{range .Sections}}<h2>{{.Heading}}</h2>{{with .Text}}<p>{{.}}</p>{{end}}
{{range .Plots}}<figure>{{.}}</figure>{{end}}
{{if .Small}}<div class="small">{{range .Small}}<figure>{{.}}</figure>{{end}}</div>{{end}}
{{if .Rows}}{{if .Fold}}<details><summary>{{len .Rows}} rows</summary>{{end}}<div class="wide"><table><thead><tr>{{range .Header}}<th>{{.}}</th>{{end}}</tr></thead><tbody>
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody></table></div>{{if .Fold}}</details>{{end}}{{end}}
{{end}}</body></html>
`))

// WriteHTML writes the page.
func (p *Page) WriteHTML(w io.Writer) error {
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
