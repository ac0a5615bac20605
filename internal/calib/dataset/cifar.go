package dataset

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lowbit/internal/fault"
)

var cifarForm = form{
	name: "cifar",
	rule: "CIFAR's binary files (data_batch_*.bin, test_batch.bin; train.bin, test.bin), or a folder of them",
	detect: func(path string, st fs.FileInfo) bool {
		if st == nil || !st.IsDir() {
			return st != nil && cifarLabels(path) > 0
		}
		return len(cifarFiles(path)) > 0
	},
	open: openCIFAR,
}

const (
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
)

// cifarLabels returns how many bytes of label stand in front of each image in a file of that
// name, 0 for files that are not CIFAR's. CIFAR-100 has a coarse and then a fine label.
func cifarLabels(path string) int {
	name := filepath.Base(path)
	switch {
	case name == "train.bin" || name == "test.bin":
		return 2
	case name == "test_batch.bin" || strings.HasPrefix(name, "data_batch_") && strings.HasSuffix(name, ".bin"):
		return 1
	}
	return 0
}

func cifarFiles(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && cifarLabels(e.Name()) > 0 {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	return out
}

// cifar is one or several files of records: labels, then the red, green and blue plane.
type cifar struct {
	files  []*os.File
	counts []int // images in each file
	head   int   // bytes of label in each record
	pixels *pixels
}

func openCIFAR(path string, o *Options, info *Info) (reader, error) {
	files := []string{path}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		if files, err = cifarSplit(path, o.Split); err != nil {
			return nil, err
		}
	}
	px, err := newPixels(o, 3)
	if err != nil {
		return nil, fault.At(path, err)
	}
	d := &cifar{head: cifarLabels(files[0]), pixels: px}
	for _, f := range files {
		if err := d.add(f); err != nil {
			d.close()
			return nil, err
		}
	}
	info.Preprocess, info.Labelled = &px.pre, true
	if names, err := readLimited(filepath.Join(filepath.Dir(files[0]), "batches.meta.txt"), maxLabelBytes); err == nil {
		info.Classes = strings.Fields(string(names))
	}
	return d, nil
}

// cifarSplit returns the files of the split that is asked for.
func cifarSplit(folder, split string) ([]string, error) {
	files := cifarFiles(folder)
	isTest := func(f string) bool { return strings.HasPrefix(filepath.Base(f), "test") }
	test := slices.ContainsFunc(files, isTest)
	train := slices.ContainsFunc(files, func(f string) bool { return !isTest(f) })
	if split == "" && test && train {
		return nil, fault.Invalidf(folder, "holds both splits").WithHint("say `split train` or `split test`")
	}
	if split != "" {
		files = slices.DeleteFunc(files, func(f string) bool { return isTest(f) != (split == "test") })
	}
	if len(files) == 0 {
		return nil, fault.Invalidf(folder, "holds no split %q", split)
	}
	if slices.ContainsFunc(files, func(f string) bool { return cifarLabels(f) != cifarLabels(files[0]) }) {
		return nil, fault.Invalidf(folder, "holds CIFAR-10 and CIFAR-100 together").WithHint("name one file")
	}
	return files, nil
}

func (d *cifar) record() int { return d.head + 3*cifarPlane }

func (d *cifar) add(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.IOf(path, err)
	}
	d.files = append(d.files, f)
	st, err := f.Stat()
	if err != nil {
		return fault.IOf(path, err)
	}
	if st.Size()%int64(d.record()) != 0 {
		return fault.Invalidf(path, "%d bytes are not a whole number of records of %d", st.Size(), d.record())
	}
	d.counts = append(d.counts, int(st.Size()/int64(d.record())))
	return nil
}

func (d *cifar) len() int {
	n := 0
	for _, c := range d.counts {
		n += c
	}
	return n
}

func (d *cifar) close() error {
	var first error
	for _, f := range d.files {
		if err := f.Close(); first == nil {
			first = err
		}
	}
	return first
}

func (d *cifar) sample(i int) (*Sample, error) {
	k := 0
	for ; i >= d.counts[k]; k++ {
		i -= d.counts[k]
	}
	name := d.files[k].Name()
	rec := make([]byte, d.record())
	if _, err := d.files[k].ReadAt(rec, int64(i)*int64(len(rec))); err != nil {
		return nil, fault.IOf(name, err)
	}
	r := newRaster(cifarSide, cifarSide, 3)
	for c, planes := 0, rec[d.head:]; c < 3; c++ {
		for p, v := range planes[c*cifarPlane : (c+1)*cifarPlane] {
			r.pix[3*p+c] = v
		}
	}
	return d.pixels.sample(fmt.Sprintf("%s[%d]", filepath.Base(name), i), r, int(rec[d.head-1]))
}
