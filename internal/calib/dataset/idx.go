package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

var idxForm = form{
	name: "idx",
	rule: "MNIST's IDX files (*-images-idx3-ubyte and *-labels-idx1-ubyte, .gz too), or a folder of them",
	detect: func(path string, st fs.FileInfo) bool {
		if st == nil || !st.IsDir() {
			return st != nil && isIDX(path, "images")
		}
		return len(idxFiles(path, "images")) > 0
	},
	open: openIDX,
}

func isIDX(path, what string) bool {
	name := strings.TrimSuffix(filepath.Base(path), ".gz")
	return strings.Contains(name, what) && strings.Contains(name, "idx") && strings.HasSuffix(name, "ubyte")
}

func idxFiles(folder, what string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && isIDX(e.Name(), what) {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	return out
}

// idxImages are the images of one IDX file, with the labels of another.
type idxImages struct {
	name   string
	idx    *idx
	labels []int
	pixels *pixels
}

func openIDX(path string, o *Options, info *Info) (reader, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		if path, err = pickSplit(path, o.Split, idxFiles(path, "images")); err != nil {
			return nil, err
		}
	}
	x, err := readIDX(path)
	if err != nil {
		return nil, err
	}
	d := &idxImages{name: filepath.Base(path), idx: x}
	if err = d.open(path, o); err != nil {
		d.close()
		return nil, err
	}
	info.Preprocess, info.Labelled = &d.pixels.pre, d.labels != nil
	return d, nil
}

func (d *idxImages) open(path string, o *Options) (err error) {
	if n := len(d.idx.shape); n != 3 && !(n == 4 && slices.Contains([]int{1, 3}, d.idx.shape[3])) {
		return fault.Invalidf(path, "shape %s is not a row of images", tensor.FormatShape(d.idx.shape))
	}
	if d.labels, err = d.readLabels(path, o.Labels); err != nil {
		return err
	}
	d.pixels, err = newPixels(o, d.channels())
	return err
}

func (d *idxImages) channels() int {
	if len(d.idx.shape) == 4 {
		return d.idx.shape[3]
	}
	return 1
}

// readLabels reads the file given, or the one beside the images that shares what stands before
// the word images.
func (d *idxImages) readLabels(images, given string) ([]int, error) {
	if given != "" && !isIDX(given, "labels") {
		return labelColumn(given, d.len())
	}
	if given == "" {
		prefix, _, _ := strings.Cut(filepath.Base(images), "images")
		for _, f := range idxFiles(filepath.Dir(images), "labels") {
			if p, _, _ := strings.Cut(filepath.Base(f), "labels"); p == prefix {
				given = f
			}
		}
	}
	if given == "" {
		return nil, nil
	}
	x, err := readIDX(given)
	if err != nil {
		return nil, err
	}
	defer x.close()
	t := tensor.New(tensor.Uint8, x.shape...)
	if _, err := io.ReadFull(io.NewSectionReader(x.body, 0, int64(len(t.Raw))), t.Raw); err != nil {
		return nil, fault.IOf(given, err)
	}
	labels, err := labelsOf(t, d.len())
	return labels, fault.At(given, err)
}

func (d *idxImages) len() int     { return d.idx.shape[0] }
func (d *idxImages) close() error { return d.idx.close() }

func (d *idxImages) sample(i int) (*Sample, error) {
	r := newRaster(d.idx.shape[2], d.idx.shape[1], d.channels())
	if _, err := d.idx.body.ReadAt(r.pix, int64(i)*int64(len(r.pix))); err != nil {
		return nil, fault.IOf(d.name, err)
	}
	return d.pixels.sample(fmt.Sprintf("%s[%d]", d.name, i), r, label(d.labels, i))
}

// pickSplit returns the file of the split that is asked for. What is not called train is test.
func pickSplit(folder, split string, files []string) (string, error) {
	var found []string
	for _, f := range files {
		train := strings.Contains(strings.ToLower(filepath.Base(f)), "train")
		if split == "" || split == "train" && train || split == "test" && !train {
			found = append(found, f)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = filepath.Base(f)
	}
	e := fault.Invalidf(folder, "%d of its files are the split %q: %s", len(found), split, strings.Join(names, ", "))
	if split == "" {
		e = fault.Invalidf(folder, "holds several splits: %s", strings.Join(names, ", "))
	}
	return "", e.WithHint("say `split train` or `split test`, or name the file")
}

// idx is an open IDX file of bytes.
type idx struct {
	shape []int
	body  io.ReaderAt // the elements
	file  io.Closer
}

func (x *idx) close() error {
	if x.file == nil {
		return nil
	}
	return x.file.Close()
}

// maxUnpacked bounds what a compressed file may unpack to.
const maxUnpacked = 1 << 30

// readIDX opens an IDX file and proves that its elements fill the rest of it. A compressed one
// is unpacked into memory.
func readIDX(path string) (*idx, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fault.IOf(path, err)
	}
	if strings.HasSuffix(path, ".gz") {
		defer f.Close()
		x, err := unpackIDX(f, st.Size())
		return x, fault.At(path, err)
	}
	shape, start, err := idxHeader(f)
	if err == nil && int64(tensor.Elements(shape)) != st.Size()-start {
		err = wrongIDXSize(shape, st.Size()-start)
	}
	if err != nil {
		f.Close()
		return nil, fault.At(path, err)
	}
	return &idx{shape, io.NewSectionReader(f, start, st.Size()-start), f}, nil
}

func wrongIDXSize(shape []int, size int64) error {
	return fault.Invalidf("", "shape %s needs %d bytes, the file holds %d", tensor.FormatShape(shape), tensor.Elements(shape), size).
		WithHint("the file is damaged or cut short; fetch it again")
}

func unpackIDX(f io.Reader, size int64) (*idx, error) {
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fault.Invalidf("", "not gzip: %v", err)
	}
	shape, _, err := idxHeader(z)
	if err != nil {
		return nil, err
	}
	n := int64(tensor.Elements(shape))
	if n > maxUnpacked || n > 1032*size {
		return nil, fault.Limitf("", "shape %s does not unpack from %d bytes", tensor.FormatShape(shape), size)
	}
	body := make([]byte, n+1)
	switch k, err := io.ReadFull(z, body); {
	case err == io.ErrUnexpectedEOF && int64(k) == n:
		return &idx{shape: shape, body: bytes.NewReader(body[:n])}, nil
	case err == nil || err == io.EOF || err == io.ErrUnexpectedEOF:
		return nil, wrongIDXSize(shape, int64(k))
	default:
		return nil, fault.Invalidf("", "damaged: %v", err)
	}
}

// idxHeader reads two zeros, the element type, the number of dimensions and these, big-endian.
func idxHeader(r io.Reader) ([]int, int64, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || head[0] != 0 || head[1] != 0 || head[3] == 0 || head[3] > 4 {
		return nil, 0, fault.Invalidf("", "not an IDX file of 1 to 4 dimensions")
	}
	if head[2] != 8 {
		return nil, 0, fault.Unsupportedf("", "IDX element type %#x: only bytes are read", head[2])
	}
	dims := make([]byte, 4*int(head[3]))
	if _, err := io.ReadFull(r, dims); err != nil {
		return nil, 0, fault.Invalidf("", "the file ends inside its header")
	}
	shape := make([]int, head[3])
	for i := range shape {
		shape[i] = int(binary.BigEndian.Uint32(dims[4*i:]))
	}
	if _, err := tensor.CheckedElements(shape); err != nil {
		return nil, 0, fault.Invalidf("", "%v", err)
	}
	return shape, int64(4 + len(dims)), nil
}
