package dataset

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

var testSetForm = form{
	name: "onnx test sets",
	rule: "test_data_set_N folders of input_K.pb, or the folder that holds them",
	detect: func(path string, st fs.FileInfo) bool {
		return st != nil && st.IsDir() && len(testSets(path)) > 0
	},
	open: openTestSets,
}

const (
	testSetPrefix = "test_data_set_"
	maxTestInput  = 2 << 30 // bytes of one file
)

// testSets are folders of inputs, each one sample.
func testSets(path string) []string {
	if _, ok := numbered(filepath.Base(path), testSetPrefix, ""); ok {
		return []string{path}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if _, ok := numbered(e.Name(), testSetPrefix, ""); ok && e.IsDir() {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		x, _ := numbered(filepath.Base(a), testSetPrefix, "")
		y, _ := numbered(filepath.Base(b), testSetPrefix, "")
		return x - y
	})
	return out
}

// numbered reads the number between a prefix and a suffix.
func numbered(name, prefix, suffix string) (int, bool) {
	s, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	if s, ok = strings.CutSuffix(s, suffix); !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0
}

type testSetReader struct {
	sets   []string
	inputs []*graph.Value
}

func openTestSets(path string, o *Options, info *Info) (reader, error) {
	return &testSetReader{testSets(path), o.Inputs}, nil
}

func (d *testSetReader) len() int     { return len(d.sets) }
func (d *testSetReader) close() error { return nil }

func (d *testSetReader) sample(i int) (*Sample, error) {
	s := &Sample{Name: d.sets[i], Inputs: map[string]*tensor.Tensor{}, Label: -1}
	entries, err := os.ReadDir(d.sets[i])
	if err != nil {
		return nil, fault.IOf(d.sets[i], err)
	}
	for _, e := range entries {
		k, ok := numbered(e.Name(), "input_", ".pb")
		if !ok {
			continue
		}
		path := filepath.Join(d.sets[i], e.Name())
		name, t, err := d.read(path, k)
		if err != nil {
			return nil, fault.At(path, err)
		}
		s.Inputs[name] = t
	}
	for _, v := range d.inputs {
		t := s.Inputs[v.Name]
		if t == nil {
			return nil, fault.Invalidf(s.Name, "holds nothing for input %q", v.Name)
		}
		if got := graph.TypeOf(t); !v.Type.Accepts(got) {
			return nil, fault.Invalidf(s.Name, "input %q is %v, the model wants %v", v.Name, got, v.Type)
		}
	}
	return s, nil
}

// read decodes input number k. It feeds the input of the name that it carries, or else the k-th.
func (d *testSetReader) read(path string, k int) (string, *tensor.Tensor, error) {
	data, err := readLimited(path, maxTestInput)
	if err != nil {
		return "", nil, err
	}
	decode := onnx.DecodeTensor
	if k < len(d.inputs) {
		switch d.inputs[k].Type.Kind {
		case graph.SequenceType:
			decode = onnx.DecodeSequence
		case graph.OptionalType:
			decode = onnx.DecodeOptional
		}
	}
	name, t, err := decode(data, onnx.Limits{})
	if err != nil {
		return "", nil, err
	}
	known := slices.ContainsFunc(d.inputs, func(v *graph.Value) bool { return v.Name == name })
	if !known && k < len(d.inputs) {
		name = d.inputs[k].Name
	}
	if name == "" {
		name = fmt.Sprintf("input_%d", k)
	}
	return name, t, nil
}
