package npz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

const (
	maxHeader = 64 << 10
	maxRank   = 16
	maxDim    = 1 << 40
)

var magic = []byte("\x93NUMPY")

// header is everything in front of the elements of an array.
type header struct {
	layout
	shape   []int
	fortran bool
	start   int64 // bytes in front of the elements
	size    int64 // bytes of the elements
}

// readHeader reads the header of an array that takes total bytes with its header, and proves that
// its elements take exactly the bytes that are left.
func readHeader(r io.Reader, total int64) (*header, error) {
	pre := make([]byte, 12)
	if _, err := io.ReadFull(r, pre[:8]); err != nil {
		return nil, shortened(err)
	}
	if !bytes.Equal(pre[:6], magic) {
		return nil, fault.Invalidf("", "not a NumPy array: the file does not begin with \\x93NUMPY")
	}
	width := 2
	if pre[6] >= 2 {
		width = 4
	}
	if pre[6] < 1 || pre[6] > 3 {
		return nil, fault.Unsupportedf("header", "version %d.%d", pre[6], pre[7])
	}
	if _, err := io.ReadFull(r, pre[8:8+width]); err != nil {
		return nil, shortened(err)
	}
	n := int64(binary.LittleEndian.Uint32(pre[8:12]))
	start := int64(8+width) + n
	if n > maxHeader || start > total {
		return nil, fault.Invalidf("header", "%d bytes long; at most %d, and what the file holds", n, maxHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, shortened(err)
	}
	f, err := parseFields(string(text))
	if err != nil {
		return nil, err
	}
	return newHeader(f, start, total)
}

func newHeader(f fields, start, total int64) (*header, error) {
	l, err := parseDescr(f.descr)
	if err != nil {
		return nil, err
	}
	n, err := tensor.CheckedElements(f.shape)
	if err != nil {
		return nil, fault.Invalidf("shape", "%v", err)
	}
	if n > 0 && l.item == 0 {
		return nil, fault.Invalidf("descr", "elements of type %q take no bytes", f.descr)
	}
	hi, size := bits.Mul64(uint64(n), uint64(l.item))
	if hi != 0 || size != uint64(total-start) {
		return nil, fault.Invalidf("", "shape %s of %q needs %d × %d bytes, the file holds %d",
			tensor.FormatShape(f.shape), f.descr, n, l.item, total-start).
			WithHint("the file is damaged or cut short; write it again")
	}
	return &header{layout: l, shape: f.shape, fortran: f.fortran && len(f.shape) > 1, start: start, size: int64(size)}, nil
}

// shortened gives the end of a file inside a header its kind.
func shortened(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Invalidf("header", "the file ends inside it")
	}
	return ioError(err)
}
