package npz

import (
	"archive/zip"
	"io"
	"sync"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// array is one array of a file.
type array struct {
	*header
	name  string
	body  io.ReaderAt // its elements; nil where they are deflated
	entry *zip.File   // nil in a .npy file

	once  sync.Once
	whole []byte // the elements in row-major order, kept where they are column-major or deflated and few
	err   error

	stream *stream // of deflated elements that are too many to keep
}

// keepWhole is the size up to which unpacked elements stay in memory between calls of Rows.
const keepWhole = 64 << 20

func newZipArray(r io.ReaderAt, e *zip.File) (*array, error) {
	size := e.UncompressedSize64
	switch {
	case e.Flags&1 != 0:
		return nil, fault.Unsupportedf("", "the entry is encrypted")
	case e.Method == zip.Store && size != e.CompressedSize64:
		return nil, fault.Invalidf("", "stored in %d bytes, but said to hold %d", e.CompressedSize64, size)
	case size > e.CompressedSize64*maxRatio+64:
		return nil, fault.Invalidf("", "%d bytes cannot unpack to %d", e.CompressedSize64, size)
	case size > MaxBytes && e.Method != zip.Store:
		return nil, fault.Limitf("", "unpacks to %d bytes; the limit is %d", size, int64(MaxBytes))
	}
	rc, err := e.Open()
	if err != nil {
		return nil, ioError(err)
	}
	defer rc.Close()
	h, err := readHeader(rc, int64(size))
	if err != nil {
		return nil, err
	}
	a := &array{header: h, entry: e}
	if e.Method == zip.Store {
		off, err := e.DataOffset()
		if err != nil {
			return nil, ioError(err)
		}
		a.body = io.NewSectionReader(r, off+h.start, h.size)
	} else if h.size > keepWhole {
		a.stream = &stream{a: a, behind: lookBehind}
	}
	return a, nil
}

// read returns the whole array; d is the type of bare bytes.
func (a *array) read(d tensor.DType) (*tensor.Tensor, error) {
	body, err := a.elements()
	if err != nil {
		return nil, err
	}
	return a.decode(body, a.shape, d)
}

// elements reads all elements, in row-major order.
func (a *array) elements() ([]byte, error) {
	var r io.Reader = io.NewSectionReader(a, 0, a.size)
	if a.entry != nil {
		rc, err := a.entry.Open()
		if err != nil {
			return nil, ioError(err)
		}
		defer rc.Close()
		if _, err := io.CopyN(io.Discard, rc, a.start); err != nil {
			return nil, ioError(err)
		}
		r = rc
	}
	body := make([]byte, a.size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, ioError(err)
	}
	if err := atEnd(r); err != nil {
		return nil, err
	}
	if a.fortran {
		body = rowMajor(body, a.shape, a.item)
	}
	return body, nil
}

// ReadAt reads stored elements.
func (a *array) ReadAt(p []byte, off int64) (int, error) { return a.body.ReadAt(p, off) }

// atEnd proves that r has no more bytes. At its end an archive's entry verifies its checksum.
func atEnd(r io.Reader) error {
	var one [1]byte
	switch n, err := io.ReadFull(r, one[:]); {
	case n != 0:
		return fault.Invalidf("", "holds more bytes than its size says")
	case err == io.EOF:
		return nil
	default:
		return ioError(err)
	}
}

// rows returns rows lo to hi-1.
func (a *array) rows(lo, hi int) (*tensor.Tensor, error) {
	shape := append([]int{hi - lo}, a.shape[1:]...)
	width := 0
	if a.shape[0] > 0 {
		width = int(a.size) / a.shape[0]
	}
	body := make([]byte, (hi-lo)*width)
	off := int64(lo) * int64(width)
	var err error
	switch {
	case a.fortran || a.stream == nil && a.body == nil:
		a.once.Do(func() { a.whole, a.err = a.elements() })
		if err = a.err; err == nil {
			copy(body, a.whole[off:])
		}
	case a.stream != nil:
		err = a.stream.read(body, off)
	default:
		_, err = io.ReadFull(io.NewSectionReader(a.body, off, int64(len(body))), body)
	}
	if err != nil {
		return nil, ioError(err)
	}
	return a.decode(body, shape, tensor.Undefined)
}
