package dataset

import (
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/npz"
	"lowbit/internal/tensor"
)

// TestForms opens one set of each form and looks at one sample of it.
func TestForms(t *testing.T) {
	red := plain(t, 4, 4, color.RGBA{200, 100, 50, 255})
	cifarRow := func(head ...byte) string {
		return string(head) + strings.Repeat("\x01", 1024) + strings.Repeat("\x02", 1024) + strings.Repeat("\x03", 1024)
	}
	rows := []struct {
		form    string
		dir     string
		path    string // under dir
		o       Options
		n       int
		at      int // the sample looked at
		label   int
		input   string
		shape   []int
		first   float32 // element 0 of the input
		classes string
		labels  string // a file of labels under dir
	}{
		{"npy", write(t, "x.npy", npyOf(t, ramp(6, 2))), "x.npy", Options{Inputs: inputs(input("in", tensor.Float32, -1, 2))},
			6, 4, -1, "in", []int{1, 2}, 8, "", ""},
		{"npy", write(t, "x.npy", npyOf(t, tensor.Wrap(tensor.Uint8, []uint8{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2))), "x.npy",
			Options{Inputs: inputs(input("in", tensor.Float32, -1, 1, 2, 2)), Preprocess: &Preprocess{Scale: 0.5}}, 2, 1, -1, "in", []int{1, 1, 2, 2}, 2.5, "", ""},
		{"npz", write(t, "d.npz", zipOf(t, npz.Array{Name: "a", Tensor: ramp(4, 3)}, npz.Array{Name: "y", Tensor: tensor.Vector(5, 6, 7, 8)})), "d.npz",
			Options{Inputs: inputs(input("a", tensor.Float32, -1, 3))}, 4, 2, 7, "a", []int{1, 3}, 6, "", ""},
		{"images", write(t, "cat/1.png", red, "ant/2.png", red, "ant/note.txt", "x", ".git/3.png", red), "",
			Options{Inputs: inputs(input("in", tensor.Float32, -1, 3, 4, 4))}, 2, 1, 1, "in", []int{1, 3, 4, 4}, 200, "ant cat", ""},
		{"images", write(t, "b.png", red, "a.png", red, "c.jpg", red, "l.csv", "file,label\na.png,3\nb.png,9\n"), "",
			Options{Inputs: inputs(input("in", tensor.Float32, -1, 4, 4, 3))}, 3, 1, 9, "in", []int{1, 4, 4, 3}, 200, "", "l.csv"},
		{"images", write(t, "one.png", red), "one.png", Options{Preprocess: &Preprocess{Color: "GRAY"}}, 1, 0, -1, "", []int{1, 1, 4, 4}, 124, "", ""},
		{"idx", write(t, "t10k-images-idx3-ubyte.gz", gzipOf(t, idxOf(3, 2, 2)), "t10k-labels-idx1-ubyte", idxOf(3)), "",
			Options{Inputs: inputs(input("in", tensor.Float32, 1, 1, 2, 2))}, 3, 2, 2, "in", []int{1, 1, 2, 2}, 8, "", ""},
		{"idx", write(t, "train-images-idx3-ubyte", idxOf(3, 2, 2), "t-images-idx3-ubyte", idxOf(1, 2, 2)), "",
			Options{Split: "train", Inputs: inputs(input("in", tensor.Float32, -1, 4))}, 3, 1, -1, "in", []int{1, 4}, 4, "", ""},
		{"cifar", write(t, "data_batch_1.bin", cifarRow(3)+cifarRow(4), "data_batch_2.bin", cifarRow(5), "batches.meta.txt", "plane car\n"), "",
			Options{Preprocess: &Preprocess{Color: "BGR"}}, 3, 2, 5, "", []int{1, 3, 32, 32}, 3, "plane car", ""},
		{"cifar", write(t, "train.bin", cifarRow(1, 42), "test.bin", cifarRow(1, 43)), "", Options{Split: "test"}, 1, 0, 43, "", []int{1, 3, 32, 32}, 1, "", ""},
		{"csv", write(t, "d.csv", "\ufeffv[1],v[0],label,note\n1,2,3,a\n4, 5 ,6,\"b\nb\"\n7,8,9,c\n"), "d.csv",
			Options{Inputs: inputs(input("v", tensor.Float32, -1, 2))}, 3, 1, 6, "v", []int{1, 2}, 5, "", ""},
		{"csv", write(t, "d.tsv", "h\tw\ty\n1\t2\t3\n"), "d.tsv", Options{Inputs: inputs(input("v", tensor.Float32, -1, 2))}, 1, 0, 3, "v", []int{1, 2}, 1, "", ""},
		{"csv", write(t, "d.csv", "h,y\n11,3\n"), "d.csv", Options{}, 1, 0, 3, "h", []int{1}, 11, "", ""},
		{"array folder", write(t, "b.npz", zipOf(t, npz.Array{Name: "v", Tensor: ramp(2, 2)}), "a.npy", npyOf(t, ramp(1, 2)), "note.md", "x"), "",
			Options{Inputs: inputs(input("v", tensor.Float32, -1, 2))}, 3, 2, -1, "v", []int{1, 2}, 2, "", ""},
		{"onnx test sets", write(t, "test_data_set_2/input_0.pb", tensorOf(t, "", ramp(1)), "test_data_set_10/input_0.pb", tensorOf(t, "", tensor.Scalar(9).Reshape(1))), "",
			Options{Inputs: inputs(input("v", tensor.Float32, 1))}, 2, 1, -1, "v", []int{1}, 9, "", ""},
	}
	for _, r := range rows {
		if r.labels != "" {
			r.o.Labels = filepath.Join(r.dir, r.labels)
		}
		s := open(t, filepath.Join(r.dir, r.path), r.o)
		info := s.Info()
		if info.Form != r.form || s.Len() != r.n || info.Total != r.n || strings.Join(info.Classes, " ") != r.classes {
			t.Errorf("%s: %d samples, %+v", r.form, s.Len(), info)
			continue
		}
		x := sample(t, s, r.at)
		in := x.Inputs[r.input]
		if x.Label != r.label || in == nil || !slices.Equal(in.Shape, r.shape) || tensor.Of[float32](in)[0] != r.first {
			t.Errorf("%s: sample %d: label %d, %v", r.form, r.at, x.Label, x.Inputs)
		}
		if (r.label >= 0) != info.Labelled {
			t.Errorf("%s: labelled is %v", r.form, info.Labelled)
		}
	}
}

func TestRefusedForms(t *testing.T) {
	red := plain(t, 4, 4, color.White)
	image4 := inputs(input("in", tensor.Float32, -1, 3, 4, 4))
	rows := []struct {
		name  string
		files []string
		path  string
		o     Options
		kind  fault.Kind
		words []string
	}{
		{"nothing there", nil, "none", Options{}, fault.IO, []string{"none"}},
		{"no such form", []string{"x.bin", "?"}, "x.bin", Options{}, fault.Unsupported, []string{"x.bin"}},
		{"empty folder", []string{"x.txt", "?"}, "", Options{}, fault.Invalid, []string{"no images"}},
		{"two inputs for images", []string{"a.png", red}, "", Options{Inputs: inputs(input("p", tensor.Float32), input("q", tensor.Float32))}, fault.Invalid, []string{"p, q"}},
		{"images for integers", []string{"a.png", red}, "", Options{Inputs: inputs(input("ids", tensor.Int64, -1, 8))}, fault.Invalid, []string{"ids", "int64"}},
		{"label of no file", []string{"a.png", red, "labels.txt", "b.png 1\n"}, "", Options{Inputs: image4}, fault.Invalid, []string{"line 1", "b.png"}},
		{"two labels for a file", []string{"a.png", red, "labels.txt", "a.png 1\na.png 1\na.png 2\n"}, "", Options{Inputs: image4}, fault.Invalid, []string{"line 3", "a.png", "label 1"}},
		{"label that is no number", []string{"a.png", red, "labels.txt", "a.png 1\na.png cat\n"}, "", Options{Inputs: image4}, fault.Invalid, []string{"line 2", "cat"}},
		{"both splits", []string{"a-images-idx3-ubyte", idxOf(1, 2, 2), "train-images-idx3-ubyte", idxOf(1, 2, 2)}, "", Options{}, fault.Invalid, []string{"several splits", "a-images"}},
		{"no such split", []string{"train.bin", strings.Repeat("x", 3074)}, "", Options{Split: "test"}, fault.Invalid, []string{"test"}},
		{"a word that is no split", []string{"x.csv", "v\n1\n"}, "x.csv", Options{Split: "all"}, fault.Invalid, []string{"all"}},
		{"both splits of CIFAR", []string{"train.bin", "", "test.bin", ""}, "", Options{}, fault.Invalid, []string{"both"}},
		{"half a record", []string{"test_batch.bin", strings.Repeat("x", 3000)}, "", Options{}, fault.Invalid, []string{"3000", "3073"}},
		{"no samples", []string{"test_batch.bin", ""}, "", Options{}, fault.Invalid, []string{"no samples"}},
		{"cut IDX", []string{"a-images-idx3-ubyte", idxOf(3, 2, 2)[:20]}, "", Options{}, fault.Invalid, []string{"needs 12 bytes, the file holds 4"}},
		{"cut IDX in gzip", []string{"a-images-idx3-ubyte.gz", gzipOf(t, idxOf(3, 2, 2)[:20])}, "", Options{}, fault.Invalid, []string{"needs 12"}},
		{"IDX that claims much", []string{"a-images-idx3-ubyte.gz", gzipOf(t, "\x00\x00\x08\x03\x00\x10\x00\x00\x00\x00\x10\x00\x00\x00\x10\x00")}, "", Options{}, fault.Limit, []string{"unpack"}},
		{"IDX of floats", []string{"a-images-idx3-ubyte", "\x00\x00\x0d\x01\x00\x00\x00\x01"}, "", Options{}, fault.Unsupported, []string{"0xd"}},
		{"too few IDX labels", []string{"a-images-idx3-ubyte", idxOf(3, 2, 2), "a-labels-idx1-ubyte", idxOf(2)}, "", Options{}, fault.Invalid, []string{"2 labels for 3"}},
		{"array of another name", []string{"x.npz", zipOf(t, npz.Array{Name: "a", Tensor: ramp(2)}, npz.Array{Name: "b", Tensor: ramp(2)})}, "x.npz",
			Options{Inputs: inputs(input("c", tensor.Float32, -1))}, fault.Invalid, []string{`"c"`, `"a", "b"`}},
		{"uneven arrays", []string{"x.npz", zipOf(t, npz.Array{Name: "a", Tensor: ramp(2)}, npz.Array{Name: "b", Tensor: ramp(3)})}, "x.npz", Options{}, fault.Invalid, []string{"2 samples", "3"}},
		{"labels of another number", []string{"x.npz", zipOf(t, npz.Array{Name: "a", Tensor: ramp(2)}, npz.Array{Name: "y", Tensor: tensor.Vector(1)})}, "x.npz", Options{}, fault.Invalid, []string{"1 labels for 2"}},
		{"header of another width", []string{"x.csv", "v[0],v[9]\n1,2\n"}, "x.csv", Options{Inputs: inputs(input("v", tensor.Float32, -1, 2))}, fault.Invalid, []string{"2 numbers", "names 1"}},
		{"column twice", []string{"x.csv", "v[0],v[0]\n1,2\n"}, "x.csv", Options{Inputs: inputs(input("v", tensor.Float32, -1, 2))}, fault.Invalid, []string{"same element"}},
		{"ragged rows", []string{"x.csv", "v,w\n1,2\n1\n"}, "x.csv", Options{}, fault.Invalid, []string{"line 3"}},
	}
	for _, r := range rows {
		s, err := Open(filepath.Join(write(t, r.files...), r.path), r.o)
		if err == nil {
			s.Close()
		}
		refused(t, r.name, err, r.kind, r.words...)
	}
}

func TestRefusedSamples(t *testing.T) {
	inf := ramp(3, 2)
	tensor.Of[float32](inf)[3] = float32(math.Inf(1))
	rows := []struct {
		name  string
		files []string
		path  string
		o     Options
		kind  fault.Kind
		words []string
	}{
		{"corrupt image", []string{"a.png", plain(t, 9, 9, color.White)[:60]}, "", Options{}, fault.Invalid, []string{"a.png", "damaged"}},
		{"no image", []string{"a.jpg", "GIF9"}, "", Options{}, fault.Unsupported, []string{"a.jpg"}},
		{"wrong size", []string{"a.png", plain(t, 5, 4, color.White)}, "", Options{Inputs: inputs(input("in", tensor.Float32, -1, 3, 4, 4))}, fault.Invalid, []string{"in", "[1,3,4,5]", "a.png"}},
		{"infinity", []string{"x.npy", npyOf(t, inf)}, "x.npy", Options{}, fault.Invalid, []string{"x.npy[1]", "element 1"}},
		{"not a number", []string{"x.csv", "v\n1\nNaN\n"}, "x.csv", Options{}, fault.Invalid, []string{"x.csv[1]", "NaN"}},
		{"no number", []string{"x.csv", "v\n1\ntwo\n"}, "x.csv", Options{}, fault.Invalid, []string{"x.csv[1]", "two"}},
		{"class of no number", []string{"x.csv", "v,y\n1,1\n2,cat\n"}, "x.csv", Options{}, fault.Invalid, []string{"cat"}},
		{"test set of another shape", []string{"test_data_set_0/input_0.pb", tensorOf(t, "v", ramp(2))}, "", Options{Inputs: inputs(input("v", tensor.Float32, 3))}, fault.Invalid, []string{"float[2]", "float[3]"}},
		{"test set without an input", []string{"test_data_set_0/input_0.pb", tensorOf(t, "v", ramp(2))}, "",
			Options{Inputs: inputs(input("v", tensor.Float32, 2), input("w", tensor.Float32, 2))}, fault.Invalid, []string{`"w"`}},
		{"broken test set", []string{"test_data_set_0/input_0.pb", "\xff\xff"}, "", Options{}, fault.Invalid, []string{"input_0.pb"}},
	}
	for _, r := range rows {
		s := open(t, filepath.Join(write(t, r.files...), r.path), r.o)
		_, err := s.Sample(s.Len() - 1)
		if r.name == "infinity" {
			_, err = s.Sample(1)
		}
		refused(t, r.name, err, r.kind, r.words...)
	}
}

func TestFormsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range forms {
		if f.name == "" || f.rule == "" || seen[f.name] {
			t.Errorf("form %q: %q", f.name, f.rule)
		}
		seen[f.name] = true
	}
}
