package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

var csvForm = form{
	name:   "csv",
	rule:   "x.csv (or .tsv) with a header that names inputs, as NAME or NAME[i], and label or y",
	detect: endsIn(".csv", ".tsv"),
	open:   openCSV,
}

// table is a CSV file of which only the places of its rows are kept.
type table struct {
	name   string
	file   *os.File
	comma  rune
	rows   []int64 // where each row begins, and where the last one ends
	cells  []cell  // what each column feeds
	label  int     // the column of labels; -1 where there is none
	inputs []*graph.Value
	shapes [][]int
}

// cell is a place in an input: element at of input number input; -1 for a column that feeds none.
type cell struct{ input, at int }

func openCSV(path string, o *Options, info *Info) (reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	d := &table{name: filepath.Base(path), file: f, comma: ',', label: -1, inputs: o.Inputs}
	if strings.EqualFold(filepath.Ext(path), ".tsv") {
		d.comma = '\t'
	}
	header, err := d.index()
	if err == nil {
		err = d.match(header)
	}
	if err != nil {
		f.Close()
		return nil, fault.At(path, err)
	}
	info.Labelled = d.label >= 0
	return d, nil
}

// index reads the header and notes where each row begins.
func (d *table) index() ([]string, error) {
	r := d.reader(d.file)
	header, err := r.Read()
	if err != nil {
		return nil, csvError(err)
	}
	header = slices.Clone(header)
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	for {
		d.rows = append(d.rows, r.InputOffset())
		if _, err := r.Read(); err == io.EOF {
			return header, nil
		} else if err != nil {
			return nil, csvError(err)
		}
	}
}

func (d *table) reader(src io.Reader) *csv.Reader {
	r := csv.NewReader(src)
	r.Comma, r.ReuseRecord, r.TrimLeadingSpace = d.comma, true, true
	return r
}

func csvError(err error) error {
	if err == io.EOF {
		return fault.Invalidf("", "the file is empty")
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fault.Invalidf(fmt.Sprintf("line %d", parse.Line), "%v", parse.Err)
	}
	return fault.IOf("", err)
}

// match gives each column its place. Where no column is named after an input, the columns fill
// the only input in order.
func (d *table) match(header []string) error {
	for _, v := range d.inputs {
		shape, err := randomShape(v)
		if err != nil {
			return err
		}
		d.shapes = append(d.shapes, shape)
	}
	if len(d.inputs) == 0 {
		d.inputs, d.shapes = namedInputs(header)
	}
	filled := make([]int, len(d.inputs))
	d.cells = slices.Repeat([]cell{{-1, 0}}, len(header))
	for i, h := range header {
		switch k, at := d.place(strings.TrimSpace(h)); {
		case k >= 0:
			d.cells[i] = cell{k, at}
			filled[k]++
		case isLabels(h):
			d.label = i
		}
	}
	if len(d.inputs) == 1 && filled[0] == 0 {
		for i := range header {
			if i != d.label {
				d.cells[i] = cell{0, filled[0]}
				filled[0]++
			}
		}
	}
	for k, v := range d.inputs {
		if n := tensor.Elements(d.shapes[k]); filled[k] != n {
			return fault.Invalidf(v.Name, "the model wants %d numbers (%v), the header names %d", n, v.Type, filled[k]).
				WithHint("name the columns %s[0], %s[1], …", v.Name, v.Name)
		}
	}
	return d.distinct(header)
}

// namedInputs makes an input of one number from each column that holds no labels.
func namedInputs(header []string) (inputs []*graph.Value, shapes [][]int) {
	for _, h := range header {
		if !isLabels(h) {
			inputs = append(inputs, &graph.Value{Name: strings.TrimSpace(h), Type: graph.Of(tensor.Float32, 1)})
			shapes = append(shapes, []int{1})
		}
	}
	return inputs, shapes
}

// place reads a column's name: NAME, or NAME[i] for element i.
func (d *table) place(h string) (input, at int) {
	for k, v := range d.inputs {
		rest, ok := strings.CutPrefix(h, v.Name)
		if !ok {
			continue
		}
		if rest == "" {
			return k, 0
		}
		if strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") {
			if at, err := strconv.Atoi(rest[1 : len(rest)-1]); err == nil && at >= 0 && at < tensor.Elements(d.shapes[k]) {
				return k, at
			}
		}
	}
	return -1, 0
}

// distinct refuses two columns for one place.
func (d *table) distinct(header []string) error {
	seen := map[cell]string{}
	for i, c := range d.cells {
		if c.input < 0 {
			continue
		}
		if other, ok := seen[c]; ok {
			return fault.Invalidf("line 1", "columns %q and %q feed the same element", other, header[i])
		}
		seen[c] = header[i]
	}
	return nil
}

func (d *table) len() int     { return len(d.rows) - 1 }
func (d *table) close() error { return d.file.Close() }

func (d *table) sample(i int) (*Sample, error) {
	s := &Sample{Name: fmt.Sprintf("%s[%d]", d.name, i), Inputs: map[string]*tensor.Tensor{}, Label: -1}
	row, err := d.reader(io.NewSectionReader(d.file, d.rows[i], d.rows[i+1]-d.rows[i])).Read()
	if err == nil && len(row) != len(d.cells) {
		err = fault.Invalidf("", "%d cells under %d headings", len(row), len(d.cells))
	}
	if err != nil {
		return nil, fault.At(s.Name, err)
	}
	if d.label >= 0 {
		if s.Label, err = strconv.Atoi(strings.TrimSpace(row[d.label])); err != nil || s.Label < 0 {
			return nil, fault.Invalidf(s.Name, "%q is not the number of a class", row[d.label])
		}
	}
	values := make([][]float64, len(d.inputs))
	for k, shape := range d.shapes {
		values[k] = make([]float64, tensor.Elements(shape))
	}
	for c, p := range d.cells {
		if p.input < 0 {
			continue
		}
		if values[p.input][p.at], err = strconv.ParseFloat(strings.TrimSpace(row[c]), 64); err != nil {
			return nil, fault.Invalidf(s.Name, "%q is not a number", row[c])
		}
	}
	return s, d.fill(s, values)
}

// fill turns the numbers of a row into tensors.
func (d *table) fill(s *Sample, values [][]float64) error {
	for k, v := range d.inputs {
		t, err := format.FromFloats(v.Type.DType, values[k], false, d.shapes[k]...)
		if err != nil {
			return fault.At(s.Name+": "+v.Name, err)
		}
		s.Inputs[v.Name] = t
	}
	return nil
}
