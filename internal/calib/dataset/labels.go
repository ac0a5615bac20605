package dataset

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/npz"
	"lowbit/internal/tensor"
)

const maxLabelBytes = 64 << 20

// A labelLine is one line of a labels file. A line that is a number alone has no file.
type labelLine struct {
	file  string
	label int
	line  int
}

// readLabelFile reads lines of a file name and a number, parted by a tab, a comma or a space, or
// lines of a number alone. Empty lines and lines that begin with # are passed over, and so is a
// first line that ends in no number: a heading.
func readLabelFile(path string) ([]labelLine, error) {
	data, err := readLimited(path, maxLabelBytes)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var list []labelLine
	n := 0
	for text := range strings.Lines(string(data)) {
		n++
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		l := labelLine{line: n}
		at := strings.LastIndexAny(text, "\t, ")
		l.label, err = strconv.Atoi(text[at+1:])
		if err != nil || l.label < 0 {
			if n == 1 {
				continue
			}
			return nil, fault.Invalidf(path, "line %d: %q does not end in the number of a class", n, text).
				WithHint("each line is a file and its class, such as: img1.jpg 42")
		}
		l.file = strings.Trim(strings.TrimRight(text[:at+1], "\t, "), `"`)
		list = append(list, l)
	}
	return list, nil
}

// labelColumn reads n labels, in order, from a text file or a .npy file.
func labelColumn(path string, n int) ([]int, error) {
	if strings.EqualFold(filepath.Ext(path), ".npy") {
		f, err := npz.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		t, err := f.Read("")
		if err != nil {
			return nil, err
		}
		list, err := labelsOf(t, n)
		return list, fault.At(path, err)
	}
	lines, err := readLabelFile(path)
	if err != nil {
		return nil, err
	}
	if len(lines) != n {
		return nil, fault.Invalidf(path, "%d labels for %d samples", len(lines), n)
	}
	out := make([]int, n)
	for i, l := range lines {
		out[i] = l.label
	}
	return out, nil
}

// labelsOf returns n labels from an array of shape [n] or [n,1].
func labelsOf(t *tensor.Tensor, n int) ([]int, error) {
	v, err := t.Ints()
	if err != nil {
		return nil, fault.Invalidf("", "labels: %v", err)
	}
	if len(v) != n {
		return nil, fault.Invalidf("", "%d labels for %d samples", len(v), n)
	}
	out := make([]int, n)
	for i, x := range v {
		if out[i] = int(x); x < 0 {
			return nil, fault.Invalidf("", "label %d of sample %d is negative", x, i)
		}
	}
	return out, nil
}
