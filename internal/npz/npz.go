// Package npz reads and writes NumPy's files: one array (.npy) or a zip archive of them (.npz).
//
// Every number of a header is proven against the bytes that are there before memory is taken for
// it. Pickled objects are never read.
package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// MaxBytes is the most that one compressed array may hold once it is unpacked.
const MaxBytes = 8 << 30

// maxRatio is the most that deflate can shrink: 258 bytes from two bits (RFC 1951), rounded up.
const maxRatio = 1032

// An Array is a tensor with the name it has in an archive.
type Array struct {
	Name   string
	Tensor *tensor.Tensor
}

// A Header describes an array without its elements. DType is Undefined where the file holds
// bare bytes whose type it does not name.
type Header struct {
	Name  string
	DType tensor.DType
	Shape []int
}

// A File is an open .npy or .npz file. Its methods may be called from several goroutines.
type File struct {
	name   string
	closer io.Closer
	arrays []*array
}

// Open opens the file at path and reads the headers of its arrays. The single array of a .npy
// file has the name "".
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrInvalid
	}
	if err != nil {
		f.Close()
		return nil, fault.IOf(path, err)
	}
	arrays, err := scan(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fault.At(path, err)
	}
	return &File{name: path, closer: f, arrays: arrays}, nil
}

// Decode reads a .npy or .npz file that lies in memory, all its arrays in order.
func Decode(data []byte) ([]Array, error) {
	arrays, err := scan(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	f := &File{arrays: arrays}
	return f.ReadAll()
}

// ReadFile reads all arrays of the .npy or .npz file at path, in order.
func ReadFile(path string) ([]Array, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadAll()
}

// scan finds the arrays in a file of the given size.
func scan(r io.ReaderAt, size int64) ([]*array, error) {
	start := make([]byte, 6)
	if n, err := r.ReadAt(start, 0); err != nil && n < 4 {
		return nil, shortened(err)
	}
	if !bytes.HasPrefix(start, []byte("PK")) {
		body := io.NewSectionReader(r, 0, size)
		h, err := readHeader(body, size)
		if err != nil {
			return nil, err
		}
		return []*array{{header: h, body: io.NewSectionReader(r, h.start, h.size)}}, nil
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fault.Invalidf("", "not a whole zip archive: %v", err)
	}
	return scanZip(r, z, size)
}

// scanZip reads the header of each array in an archive. Entries of other kinds are passed over.
// An archive whose entries claim more bytes together than the file has is refused, so that
// overlapping entries cannot multiply.
func scanZip(r io.ReaderAt, z *zip.Reader, size int64) ([]*array, error) {
	var out []*array
	seen := map[string]bool{}
	claimed := uint64(0)
	for _, e := range z.File {
		name, isArray := strings.CutSuffix(e.Name, ".npy")
		if !isArray {
			continue
		}
		if claimed += e.CompressedSize64; e.CompressedSize64 > uint64(size) || claimed > uint64(size) {
			return nil, fault.Invalidf(e.Name, "the entries overlap or reach past the end of the file")
		}
		if seen[name] {
			return nil, fault.Invalidf(e.Name, "the name stands twice in the archive")
		}
		seen[name] = true
		a, err := newZipArray(r, e)
		if err != nil {
			return nil, fault.At(e.Name, err)
		}
		a.name = name
		out = append(out, a)
	}
	return out, nil
}

// Headers returns what each array is, in the file's order.
func (f *File) Headers() []Header {
	out := make([]Header, len(f.arrays))
	for i, a := range f.arrays {
		out[i] = Header{Name: a.name, DType: a.dtype, Shape: a.shape}
	}
	return out
}

// Read returns an array whole. An archive's checksum is verified.
func (f *File) Read(name string) (*tensor.Tensor, error) { return f.ReadAs(name, tensor.Undefined) }

// ReadAs is Read for an array of bare bytes (V1), which ml_dtypes writes for 8-bit floats and
// narrower types, whose element type is d. A type that the file names itself is kept.
func (f *File) ReadAs(name string, d tensor.DType) (*tensor.Tensor, error) {
	a, err := f.find(name)
	if err != nil {
		return nil, err
	}
	t, err := a.read(d)
	return t, fault.At(f.place(name), err)
}

// Rows returns rows lo to hi-1 along the first axis, of shape (hi-lo, …). The memory it takes
// depends on the rows and not on the array, unless the array is in column-major order. The
// checksum of an archive is not verified, since that would take the whole array.
func (f *File) Rows(name string, lo, hi int) (*tensor.Tensor, error) {
	a, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if len(a.shape) == 0 || lo < 0 || hi < lo || hi > a.shape[0] {
		return nil, fault.Invalidf(f.place(name), "no rows %d to %d in shape %s", lo, hi, tensor.FormatShape(a.shape))
	}
	t, err := a.rows(lo, hi)
	return t, fault.At(f.place(name), err)
}

// ReadAll returns all arrays in the file's order.
func (f *File) ReadAll() ([]Array, error) {
	out := make([]Array, 0, len(f.arrays))
	for _, a := range f.arrays {
		t, err := f.Read(a.name)
		if err != nil {
			return nil, err
		}
		out = append(out, Array{a.name, t})
	}
	return out, nil
}

// Close closes the file.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

func (f *File) find(name string) (*array, error) {
	for _, a := range f.arrays {
		if a.name == name {
			return a, nil
		}
	}
	return nil, fault.Invalidf(f.name, "no array %q in the file", name)
}

func (f *File) place(name string) string {
	if f.name == "" || name == "" {
		return f.name + name
	}
	return f.name + ": " + name
}

// ioError gives an error of reading its kind: what unpacking finds wrong is the file's fault.
func ioError(err error) error {
	var e *fault.Error
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fault.Invalidf("", "damaged: %v", err)
	case errors.Is(err, zip.ErrAlgorithm):
		return fault.Unsupportedf("", "only stored and deflated entries are read")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return fault.IOf("", err)
	}
	return fault.Invalidf("", "damaged: %v", err)
}
