package onnx

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lowbit/internal/atomicfile"
	"lowbit/internal/graph"
)

// SaveOptions say how a model is written. The zero value refuses to replace a file.
type SaveOptions struct {
	Force         bool     // replace a model that is there
	Sources       []string // files that are never replaced, such as File.Paths of the input
	ExternalAbove int64    // bytes of the model above which tensors go to a data file, default 1.9e9
	ExternalMin   int      // bytes from which a tensor goes there, default 1024
}

// Save writes a model to a file, and a large one's tensors to a data file NAME.data beside it.
// The tensors are written from where they are. Each file appears whole or not at all, the model
// last, so that a model always finds its data; see package atomicfile for the kinds of error.
// The same model gives the same bytes.
func Save(path string, m *graph.Model, o SaveOptions) error {
	return Guard(path, func() error { return save(path, m, o) })
}

func save(path string, m *graph.Model, o SaveOptions) error {
	msg, err := encodeModel(m, nil)
	if err != nil {
		return err
	}
	out := atomicfile.Options{Force: o.Force, Sources: o.Sources, Size: msg.size()}
	if msg.size() <= cmp.Or(o.ExternalAbove, 1_900_000_000) {
		return atomicfile.Write(path, writer(msg), out)
	}
	l := layOut(m, cmp.Or(o.ExternalMin, 1024))
	out.Size += l.size
	if err := atomicfile.Check(path, out); err != nil {
		return err
	}
	return saveBoth(path, m, l, out)
}

func writer(msg *message) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := msg.WriteTo(w)
		return err
	}
}

// saveBoth writes the data file under a name that nothing refers to yet, then the model.
func saveBoth(path string, m *graph.Model, l *layout, out atomicfile.Options) error {
	old := dataFiles(path)
	data, err := l.save(path, out)
	if err != nil {
		return err
	}
	msg, err := encodeModel(m, l)
	if err == nil {
		out.Size = msg.size()
		err = atomicfile.Write(path, writer(msg), out)
	}
	if err != nil {
		os.Remove(data)
		return err
	}
	for _, f := range old {
		if f != data {
			os.Remove(f)
		}
	}
	return nil
}

// save writes the data file beside a model and returns its path. Where NAME.data is taken by the
// model that is about to be replaced, the name carries the start of the checksum.
func (l *layout) save(model string, out atomicfile.Options) (string, error) {
	sum := sha1.New()
	if err := l.write(sum); err != nil {
		return "", err
	}
	l.checksum = hex.EncodeToString(sum.Sum(nil))
	path := model + ".data"
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		path = fmt.Sprintf("%s-%s", path, l.checksum[:12])
	}
	l.file = filepath.Base(path)
	out.Size = l.size
	return path, atomicfile.Write(path, l.write, out)
}

// dataFiles lists the files beside a model that Save may have made for it.
func dataFiles(model string) []string {
	entries, err := os.ReadDir(filepath.Dir(model))
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), filepath.Base(model)+".data")
		if ok && e.Type().IsRegular() && (rest == "" || len(rest) == 13 && rest[0] == '-') {
			list = append(list, filepath.Join(filepath.Dir(model), e.Name()))
		}
	}
	return list
}
