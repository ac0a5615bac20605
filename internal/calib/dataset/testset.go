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
	sets            []string
	inputs, outputs []*graph.Value
}

func openTestSets(path string, o *Options, info *Info) (reader, error) {
	return &testSetReader{testSets(path), o.Inputs, o.Outputs}, nil
}

func (d *testSetReader) len() int     { return len(d.sets) }
func (d *testSetReader) close() error { return nil }

func (d *testSetReader) sample(i int) (*Sample, error) {
	s := &Sample{Name: d.sets[i], Label: -1}
	var err error
	if s.Inputs, err = readSet(d.sets[i], "input_", d.inputs); err != nil {
		return nil, err
	}
	if len(d.outputs) > 0 {
		if s.Want, err = readSet(d.sets[i], "output_", d.outputs); err != nil {
			return nil, err
		}
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

// readSet reads the tensors of a folder whose files begin with prefix.
func readSet(dir, prefix string, values []*graph.Value) (map[string]*tensor.Tensor, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.IOf(dir, err)
	}
	set := map[string]*tensor.Tensor{}
	for _, e := range entries {
		k, ok := numbered(e.Name(), prefix, ".pb")
		if !ok {
			continue
		}
		path := filepath.Join(dir, e.Name())
		name, t, err := readTensor(path, k, values)
		if err != nil {
			return nil, fault.At(path, err)
		}
		if name == "" {
			name = fmt.Sprintf("%s%d", prefix, k)
		}
		set[name] = t
	}
	return set, nil
}

// readTensor decodes tensor number k. It is the value of the name that it carries, or else the k-th.
func readTensor(path string, k int, values []*graph.Value) (string, *tensor.Tensor, error) {
	data, err := readLimited(path, maxTestInput)
	if err != nil {
		return "", nil, err
	}
	decode := onnx.DecodeTensor
	if k < len(values) {
		switch values[k].Type.Kind {
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
	known := slices.ContainsFunc(values, func(v *graph.Value) bool { return v.Name == name })
	if !known && k < len(values) {
		name = values[k].Name
	}
	return name, t, nil
}
