package npz

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// npy returns an array file with the given header text and elements.
func npy(dict string, body string) []byte {
	b := append([]byte(nil), magic...)
	b = append(b, 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(dict)))
	return append(append(b, dict...), body...)
}

func dict(descr, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr, shape)
}

func TestRefusedHeaders(t *testing.T) {
	rows := []struct {
		name string
		data []byte
		kind fault.Kind
		word string
	}{
		{"empty", nil, fault.Invalid, "ends"},
		{"not an array", []byte("hello, world"), fault.Invalid, "NUMPY"},
		{"cut in the header", npy(dict("<f4", "(1,)"), "")[:30], fault.Invalid, "header"},
		{"version 4", append([]byte("\x93NUMPY\x04\x00"), make([]byte, 20)...), fault.Unsupported, "version"},
		{"header of 4 GB", append([]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), make([]byte, 20)...), fault.Invalid, "header"},
		{"too few bytes", npy(dict("<f4", "(2,)"), "1234567"), fault.Invalid, "needs 2 × 4 bytes, the file holds 7"},
		{"too many bytes", npy(dict("<f4", "(2,)"), "123456789"), fault.Invalid, "needs"},
		{"product overflows", npy(dict("<f4", "(1099511627776, 1099511627776)"), ""), fault.Invalid, "elements"},
		{"product wraps to zero", npy(dict("<f4", "(4294967296, 4294967296, 4)"), ""), fault.Invalid, "elements"},
		{"size wraps", npy(dict("<U268435455", "(1099511627776,)"), ""), fault.Invalid, "needs"},
		{"strings without bytes", npy(dict("<U0", "(1099511627776,)"), ""), fault.Invalid, "no bytes"},
		{"negative", npy(dict("<f4", "(-1,)"), ""), fault.Invalid, "dimension"},
		{"dimension above 2^40", npy(dict("<f4", "(1099511627777, 0)"), ""), fault.Invalid, "2^40"},
		{"rank 17", npy(dict("|u1", "("+strings.Repeat("1, ", 17)+")"), "x"), fault.Invalid, "dimensions"},
		{"objects", npy(dict("|O", "(1,)"), "x"), fault.Unsupported, "pickled"},
		{"dates", npy(dict("<M8[ns]", "(1,)"), "12345678"), fault.Unsupported, "M8"},
		{"records", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "1234"), fault.Unsupported, "records"},
		{"unknown key", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 'y'}", "1234"), fault.Invalid, `"x"`},
		{"key twice", npy("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}", "1234"), fault.Invalid, "twice"},
		{"key missing", npy("{'descr': '<f4', 'shape': (1,)}", "1234"), fault.Invalid, "keys"},
		{"code", npy("__import__('os')", ""), fault.Invalid, "expected"},
		{"open string", npy("{'descr': '<f4", ""), fault.Invalid, "end"},
		{"no comma", npy("{'descr': '<f4' 'shape': (1,)}", "1234"), fault.Invalid, "comma"},
		{"no comma in the shape", npy(dict("<f4", "(1 1)"), "1234"), fault.Invalid, "comma"},
		{"boolean", npy("{'fortran_order': maybe}", ""), fault.Invalid, "True"},
		{"after the end", npy(dict("<f4", "(1,)")+"x", "1234"), fault.Invalid, "after"},
		{"no character", npy(dict("<U1", "(1,)"), "\x00\xd8\x00\x00"), fault.Invalid, "Unicode"},
		{"large character", npy(dict("<U1", "(1,)"), "\xff\xff\xff\xff"), fault.Invalid, "Unicode"},
	}
	for _, r := range rows {
		_, err := Decode(r.data)
		if fault.KindOf(err) != r.kind || !strings.Contains(err.Error(), r.word) {
			t.Errorf("%s: error %v", r.name, err)
		}
	}
	objects, err := os.ReadFile("testdata/objects.npy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(objects); fault.KindOf(err) != fault.Unsupported || fault.HintOf(err) == "" {
		t.Errorf("pickled objects: %v", err)
	}
}

// rawZip returns an archive with one entry whose directory makes the claims of h.
func rawZip(t *testing.T, h zip.FileHeader, body []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.CreateRaw(&h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.Write(body); err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func deflated(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestRefusedArchives(t *testing.T) {
	good := npy(dict("<f4", "(2,)"), "12345678")
	packed := deflated(t, good)
	sum := crc32.ChecksumIEEE(good)
	size := uint64(len(good))
	header := func(method uint16, packed, unpacked uint64, crc uint32) zip.FileHeader {
		return zip.FileHeader{Name: "x.npy", Method: method, CompressedSize64: packed, UncompressedSize64: unpacked, CRC32: crc}
	}
	n := uint64(len(packed))
	encrypted := header(zip.Store, size, size, sum)
	encrypted.Flags = 1
	rows := []struct {
		name string
		data []byte
		kind fault.Kind
	}{
		{"stored size differs", rawZip(t, header(zip.Store, size, size+4, sum), good), fault.Invalid},
		{"claims more than it unpacks to", rawZip(t, header(zip.Deflate, n, size+4, sum), packed), fault.Invalid},
		{"claims less than it unpacks to", rawZip(t, header(zip.Deflate, n, size-4, sum), packed), fault.Invalid},
		{"impossible ratio", rawZip(t, header(zip.Deflate, n, 1<<30, sum), packed), fault.Invalid},
		{"past the end", rawZip(t, header(zip.Store, 1<<40, 1<<40, sum), good), fault.Invalid},
		{"checksum", rawZip(t, header(zip.Deflate, n, size, sum+1), packed), fault.Invalid},
		{"stored checksum", rawZip(t, header(zip.Store, size, size, sum+1), good), fault.Invalid},
		{"not deflate", rawZip(t, header(zip.Deflate, size, size, sum), good), fault.Invalid},
		{"method", rawZip(t, header(14, size, size, sum), good), fault.Unsupported},
		{"encrypted", rawZip(t, encrypted, good), fault.Unsupported},
		{"cut", rawZip(t, header(zip.Store, size, size, sum), good)[:120], fault.Invalid},
		{"only a signature", []byte("PK\x03\x04........"), fault.Invalid},
	}
	for _, r := range rows {
		if _, err := Decode(r.data); fault.KindOf(err) != r.kind {
			t.Errorf("%s: error %v", r.name, err)
		}
	}
	if _, err := Decode(rawZip(t, header(zip.Deflate, n, size, sum), packed)); err != nil {
		t.Errorf("the honest archive: %v", err)
	}
}

func TestRefusedNames(t *testing.T) {
	var twice bytes.Buffer
	x := tensor.Scalar(1)
	if err := Write(&twice, []Array{{"x", x}, {"x", x}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(twice.Bytes()); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a name that stands twice: %v", err)
	}
}

// TestPrefixes cuts each golden file at every length: an error, never a panic.
func TestPrefixes(t *testing.T) {
	for _, name := range []string{"golden.npz", "deflated.npz", "column.npy", "v2.npy"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			if _, err := Decode(data[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes were accepted", name, n, len(data))
			}
		}
	}
}

func fuzz(f *testing.F, seeds ...string) {
	for _, s := range seeds {
		data, err := os.ReadFile("testdata/" + s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		arrays, err := Decode(data)
		if err != nil {
			if k := fault.KindOf(err); k == fault.Internal || k == fault.IO {
				t.Fatalf("error of kind %d: %v", k, err)
			}
			return
		}
		if err := Write(io.Discard, arrays); err != nil && fault.KindOf(err) != fault.Unsupported {
			t.Fatal(err)
		}
	})
}

func FuzzNpy(f *testing.F) {
	f.Add(npy(dict("<U2", "(1,)"), "a\x00\x00\x00b\x00\x00\x00"))
	f.Add(npy(dict("|b1", "()"), "x"))
	fuzz(f, "column.npy", "big.npy", "v2.npy", "v3.npy", "objects.npy")
}

func FuzzNpz(f *testing.F) {
	var buf bytes.Buffer
	if err := Write(&buf, []Array{{"x", tensor.Scalar(1)}, {"y", tensor.Strings([]string{"a"}, 1)}}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	fuzz(f, "small.npz")
}
