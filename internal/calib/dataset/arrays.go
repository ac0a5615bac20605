package dataset

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/tensor"
)

var npyForm = form{
	name:   "npy",
	rule:   "x.npy of shape [N, …] for the one input of a model",
	detect: endsIn(".npy"),
	open: func(path string, o *Options, info *Info) (reader, error) {
		if o.Preprocess != nil {
			return openPixelArray(path, o, info)
		}
		return openArrays(path, o, info)
	},
}

var npzForm = form{
	name:   "npz",
	rule:   "x.npz whose keys are the names of inputs, and labels or y for labels: samples along the first axes, or one sample in the inputs' own shapes",
	detect: endsIn(".npz"),
	open:   openArrays,
}

func endsIn(suffixes ...string) func(string, fs.FileInfo) bool {
	return func(path string, st fs.FileInfo) bool {
		return st != nil && !st.IsDir() && slices.Contains(suffixes, strings.ToLower(filepath.Ext(path)))
	}
}

// arrays are samples that lie side by side in NumPy arrays.
type arrays struct {
	file    *npz.File
	name    string
	columns []column
	n       int
	labels  []int
}

// column is the array that feeds one input.
type column struct {
	array string
	input string
	typ   graph.Type
	lot
}

// lot is how the first axis of an array divides into samples.
type lot struct {
	n     int  // samples; 1 for an array that every sample shares
	per   int  // rows in one sample
	drop  bool // the first axis counts samples, and is not one of the input's
	whole bool // the array is the input as it is
}

func openArrays(path string, o *Options, info *Info) (reader, error) {
	if o.Preprocess != nil {
		info.Warnings = append(info.Warnings, "arrays are taken as they are; preprocessing is for images")
	}
	f, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	a := &arrays{file: f, name: filepath.Base(path)}
	if err := a.match(o); err != nil {
		f.Close()
		return nil, fault.At(path, err)
	}
	if err := a.readLabels(o); err != nil {
		f.Close()
		return nil, err
	}
	info.Labelled = a.labels != nil
	return a, nil
}

// match finds the array of each input and counts the samples.
func (a *arrays) match(o *Options) error {
	inputs := o.Inputs
	if len(inputs) == 0 {
		for _, h := range a.file.Headers() {
			if !isLabels(h.Name) {
				inputs = append(inputs, &graph.Value{Name: h.Name})
			}
		}
	}
	var shapes [][]int
	for _, v := range inputs {
		h, err := a.find(v.Name, len(inputs) == 1)
		if err != nil {
			return err
		}
		l, err := divide(h.Shape, v.Type)
		if err != nil {
			return fault.At(v.Name, err)
		}
		a.columns, shapes = append(a.columns, column{h.Name, v.Name, v.Type, l}), append(shapes, h.Shape)
		if a.n == 0 || l.n > 1 {
			a.n = l.n
		}
	}
	for _, c := range a.columns {
		if c.n == a.n || c.n == 1 {
			continue
		}
		if a.single(shapes) {
			return nil
		}
		return fault.Invalidf(c.input, "the array holds %d samples, others hold %d", c.n, a.n).
			WithHint("samples lie along the first axes; arrays in the shapes of the inputs themselves are one sample")
	}
	return nil
}

// single takes all arrays together for one sample, where their first axes count no samples: each has the shape of its
// input as it is, axes of one symbol have one size, and so have those first axes that have no name.
func (a *arrays) single(shapes [][]int) bool {
	sizes := map[string]int{}
	for i, c := range a.columns {
		if !c.typ.Ranked || len(shapes[i]) != len(c.typ.Shape) {
			return false
		}
		for k, d := range c.typ.Shape {
			n := shapes[i][k]
			if d.IsKnown() && d.Size != n {
				return false
			}
			if d.IsKnown() || d.Name == "" && k > 0 {
				continue
			}
			if was, ok := sizes[d.Name]; ok && was != n {
				return false
			}
			sizes[d.Name] = n
		}
	}
	for i := range a.columns {
		a.columns[i].lot = lot{n: 1, whole: true}
	}
	a.n = 1
	return true
}

// isLabels says whether an array or a column of a name holds labels, unless an input has that name.
func isLabels(name string) bool {
	return slices.Contains([]string{"labels", "label", "class", "y"}, name)
}

// find returns the array for an input: the one of its name, or the only one for the only input.
func (a *arrays) find(input string, only bool) (npz.Header, error) {
	var names []string
	var rest []npz.Header
	for _, h := range a.file.Headers() {
		if h.Name == input || h.Name == "in:"+input {
			return h, nil
		}
		if !isLabels(h.Name) {
			rest = append(rest, h)
		}
		names = append(names, fmt.Sprintf("%q", h.Name))
	}
	if only && len(rest) == 1 {
		return rest[0], nil
	}
	return npz.Header{}, fault.Invalidf("", "no array for input %q; the file has %s", input, strings.Join(names, ", ")).
		WithHint("a .npz file feeds each input by its name")
}

// divide says how an array of the given shape divides into samples of type t.
func divide(shape []int, t graph.Type) (lot, error) {
	if !t.Ranked {
		if len(shape) == 0 {
			return lot{n: 1, whole: true}, nil
		}
		return lot{n: shape[0], per: 1}, nil
	}
	want := t.Shape
	l := lot{n: 1, whole: true}
	switch {
	case len(shape) == len(want)+1:
		l = lot{n: shape[0], per: 1, drop: true}
		shape = shape[1:]
	case len(shape) == len(want) && len(shape) > 0:
		per := 1
		if want[0].IsKnown() && want[0].Size > 0 {
			per = want[0].Size
		}
		if shape[0]%per != 0 {
			return l, fault.Invalidf("", "%d rows do not divide into batches of %d", shape[0], per)
		}
		l = lot{n: shape[0] / per, per: per}
		shape, want = shape[1:], want[1:]
	}
	ok := len(shape) == len(want)
	for i := 0; ok && i < len(shape); i++ {
		ok = !want[i].IsKnown() || want[i].Size == shape[i]
	}
	if !ok {
		return l, fault.Invalidf("", "the model wants %v, the array is %s", t, tensor.FormatShape(shape)).
			WithHint("samples lie along the first axis")
	}
	return l, nil
}

// readLabels takes labels from the options' file, or from the array called labels or y.
func (a *arrays) readLabels(o *Options) (err error) {
	if o.Labels != "" {
		a.labels, err = labelColumn(o.Labels, a.n)
		return err
	}
	for _, h := range a.file.Headers() {
		fed := slices.ContainsFunc(a.columns, func(c column) bool { return c.array == h.Name })
		if !isLabels(h.Name) || fed {
			continue
		}
		t, err := a.file.Read(h.Name)
		if err != nil {
			return err
		}
		a.labels, err = labelsOf(t, a.n)
		return fault.At(a.name+": "+h.Name, err)
	}
	return nil
}

func (a *arrays) len() int     { return a.n }
func (a *arrays) close() error { return a.file.Close() }

func (a *arrays) sample(i int) (*Sample, error) {
	s := &Sample{Name: fmt.Sprintf("%s[%d]", a.name, i), Inputs: map[string]*tensor.Tensor{}, Label: label(a.labels, i)}
	for _, c := range a.columns {
		t, err := c.read(a.file, i)
		if err != nil {
			return nil, err
		}
		if t, err = convert(t, c.typ.DType); err != nil {
			return nil, fault.At(s.Name+": "+c.input, err)
		}
		s.Inputs[c.input] = t
	}
	return s, nil
}

func (c *column) read(f *npz.File, i int) (*tensor.Tensor, error) {
	if c.whole {
		return f.ReadAs(c.array, c.typ.DType)
	}
	if c.n == 1 {
		i = 0
	}
	t, err := f.Rows(c.array, i*c.per, (i+1)*c.per)
	if err == nil && c.drop {
		t = t.Reshape(t.Shape[1:]...)
	}
	return t, err
}

// label returns label i, or -1 where there are none.
func label(labels []int, i int) int {
	if labels == nil {
		return -1
	}
	return labels[i]
}
