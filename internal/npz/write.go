package npz

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// dosEpoch is the time of every entry: the first that a zip archive can express.
var dosEpoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Write writes arrays as an archive of stored entries, in the order given. Equal arrays give
// equal bytes. Errors of w are the caller's to classify.
func Write(w io.Writer, arrays []Array) error {
	z := zip.NewWriter(w)
	for _, a := range arrays {
		e, err := z.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store, Modified: dosEpoch})
		if err != nil {
			return err
		}
		if err := WriteNpy(e, a.Tensor); err != nil {
			return fault.At(a.Name, err)
		}
	}
	return z.Close()
}

// WriteNpy writes t as one array in row-major order, little-endian. Elements narrower than a byte
// take one byte each, and types that NumPy lacks are written as ml_dtypes writes them.
func WriteNpy(w io.Writer, t *tensor.Tensor) error {
	descr, body, err := encode(t)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{head(descr, t.Shape), body} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// encode returns the type string and the bytes of t's elements.
func encode(t *tensor.Tensor) (string, []byte, error) {
	switch {
	case t.Kind != tensor.Dense:
		return "", nil, fault.Unsupportedf("", "a %v cannot be written as an array", t)
	case t.DType == tensor.String:
		return encodeStrings(t.Str)
	}
	descr, ok := descrOf(t.DType)
	if !ok {
		return "", nil, fault.Unsupportedf("", "%v has no NumPy type", t.DType)
	}
	if t.DType.Bits() < 8 {
		return descr, tensor.Unpack(t), nil
	}
	return descr, t.Raw, nil
}

// encodeStrings writes strings as UTF-32 cells of equal width.
func encodeStrings(list []string) (string, []byte, error) {
	width := 1
	for i, s := range list {
		if !utf8.ValidString(s) {
			return "", nil, fault.Unsupportedf("", "string %d is not UTF-8", i)
		}
		width = max(width, utf8.RuneCountInString(s))
	}
	body := make([]byte, 4*width*len(list))
	for i, s := range list {
		cell := body[4*width*i:]
		for _, r := range s {
			binary.LittleEndian.PutUint32(cell, uint32(r))
			cell = cell[4:]
		}
	}
	return fmt.Sprintf("<U%d", width), body, nil
}

// head returns a header of version 1, padded so that the elements begin at a multiple of 64.
func head(descr string, shape []int) []byte {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = fmt.Sprint(d)
	}
	tuple := strings.Join(dims, ", ")
	if len(shape) == 1 {
		tuple += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple)
	const fixed = 10
	text += strings.Repeat(" ", 63-(fixed+len(text))%64) + "\n"
	out := append([]byte(nil), magic...)
	out = append(out, 1, 0, byte(len(text)), byte(len(text)>>8))
	return append(out, text...)
}
