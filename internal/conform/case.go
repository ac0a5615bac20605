package conform

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// A Case is a model with stored inputs and outputs.
type Case struct {
	Name  string // of the folder that holds model.onnx, or of the model's file without ".onnx"
	Model string // path of the model
	Sets  []Set
}

// A Set is one pair of inputs and outputs: a folder of .pb files or an .npz file.
type Set struct{ Path string }

// Find lists the cases under the given folders and files, each folder walked in order.
// A model without test data is a case without sets.
func Find(roots ...string) ([]Case, error) {
	var list []Case
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".onnx" {
				return err
			}
			c, err := caseOf(path)
			list = append(list, c)
			return err
		})
		if err != nil {
			return nil, fault.IOf(root, err)
		}
	}
	return list, nil
}

func caseOf(model string) (Case, error) {
	dir, stem := filepath.Split(strings.TrimSuffix(model, ".onnx"))
	c := Case{Name: stem, Model: model}
	if _, err := os.Stat(filepath.Join(dir, stem+".npz")); err == nil {
		c.Sets = []Set{{filepath.Join(dir, stem+".npz")}}
		return c, nil
	}
	sets, err := filepath.Glob(filepath.Join(globEscape(dir), "test_data_set_*"))
	if err != nil || len(sets) == 0 {
		return c, err
	}
	c.Name = filepath.Base(filepath.Clean(dir))
	slices.SortFunc(sets, func(a, b string) int { return cmp.Compare(lastNumber(a), lastNumber(b)) })
	for _, s := range sets {
		c.Sets = append(c.Sets, Set{s})
	}
	return c, nil
}

// globEscape quotes the characters that filepath.Glob would expand.
func globEscape(path string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(path)
}

// lastNumber reads N from "…_N" and "…_N.pb"; -1 if there is none.
func lastNumber(path string) int {
	stem := strings.TrimSuffix(filepath.Base(path), ".pb")
	n, err := strconv.Atoi(stem[strings.LastIndexByte(stem, '_')+1:])
	if err != nil {
		return -1
	}
	return n
}

// load reads a set. Files are matched to the graph's inputs and outputs by position, arrays of
// an .npz by name.
func (s Set) load(g *graph.Graph) (in, out map[string]*tensor.Tensor, err error) {
	if strings.HasSuffix(s.Path, ".npz") {
		return loadArrays(s.Path)
	}
	if in, err = loadFiles(s.Path, "input_", g.In); err != nil {
		return nil, nil, err
	}
	out, err = loadFiles(s.Path, "output_", g.Out)
	return in, out, err
}

func loadArrays(path string) (in, out map[string]*tensor.Tensor, err error) {
	list, err := npz.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	in, out = map[string]*tensor.Tensor{}, map[string]*tensor.Tensor{}
	for _, a := range list {
		if name, ok := strings.CutPrefix(a.Name, "in:"); ok {
			in[name] = a.Tensor
		} else if name, ok := strings.CutPrefix(a.Name, "out:"); ok {
			out[name] = a.Tensor
		} else {
			return nil, nil, fault.Invalidf(path, "array %q is neither in:NAME nor out:NAME", a.Name)
		}
	}
	return in, out, nil
}

func loadFiles(dir, prefix string, vals []*graph.Value) (map[string]*tensor.Tensor, error) {
	out := map[string]*tensor.Tensor{}
	for i, v := range vals {
		path := filepath.Join(dir, fmt.Sprintf("%s%d.pb", prefix, i))
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fault.IOf(path, err)
		}
		if out[v.Name], err = decode(b, v.Type.Kind); err != nil {
			return nil, fault.At(path, err)
		}
	}
	return out, nil
}

func decode(b []byte, k graph.Kind) (t *tensor.Tensor, err error) {
	switch k {
	case graph.SequenceType:
		_, t, err = onnx.DecodeSequence(b, onnx.Limits{})
	case graph.OptionalType:
		_, t, err = onnx.DecodeOptional(b, onnx.Limits{})
	default:
		_, t, err = onnx.DecodeTensor(b, onnx.Limits{})
	}
	return t, err
}
