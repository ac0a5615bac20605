package onnx

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

	// Before is called when everything is on the disk, before the model gets its name: with the
	// SHA-256 of the model's file, and the bytes of all files. An error leaves the path as it was.
	Before func(sum []byte, size int64) error
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
	var l *layout
	if msg.size() > cmp.Or(o.ExternalAbove, 1_900_000_000) {
		l = layOut(m, cmp.Or(o.ExternalMin, 1024))
	}
	if l == nil || len(l.tensors) == 0 {
		return commit(path, msg, out, o.Before, 0)
	}
	out.Size += l.size
	if err := atomicfile.Check(path, out); err != nil {
		return err
	}
	return saveBoth(path, m, l, out, o.Before)
}

// commit writes the model itself. data is the size of what lies beside it.
func commit(path string, msg *message, out atomicfile.Options, before func([]byte, int64) error, data int64) error {
	write := writer(msg)
	if before != nil {
		sum := sha256.New()
		plain := write
		write = func(w io.Writer) error { return plain(io.MultiWriter(sum, w)) }
		out.Before = func() error { return before(sum.Sum(nil), msg.size()+data) }
	}
	return atomicfile.Write(path, write, out)
}

func writer(msg *message) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := msg.WriteTo(w)
		return err
	}
}

// saveBoth writes the data file under a name that nothing refers to yet, then the model. The data
// files of a model that was replaced are removed last.
func saveBoth(path string, m *graph.Model, l *layout, out atomicfile.Options, before func([]byte, int64) error) error {
	var old []string
	if _, err := os.Lstat(path); err == nil {
		old = dataFiles(path)
	}
	data, err := l.save(path, out)
	if err != nil {
		if errors.Is(err, atomicfile.ErrInPlace) {
			os.Remove(data)
		}
		return err
	}
	msg, err := encodeModel(m, l)
	if err == nil {
		out.Size = msg.size()
		err = commit(path, msg, out, before, l.size)
	}
	if err != nil {
		if !errors.Is(err, atomicfile.ErrInPlace) {
			os.Remove(data)
		}
		return err
	}
	for _, f := range old {
		if !isOneOf(f, append(out.Sources, data)) {
			os.Remove(f)
		}
	}
	return nil
}

// save writes the data file beside a model and returns its path. Where NAME.data is taken, perhaps
// by the model that is about to be replaced, the name carries the start of the checksum.
func (l *layout) save(model string, out atomicfile.Options) (string, error) {
	path := model + ".data"
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		sum, err := checksum(l.write, io.Discard)
		if err != nil {
			return "", err
		}
		path += "-" + sum[:hashLen]
	}
	l.file = filepath.Base(path)
	out.Size = l.size
	return path, atomicfile.Write(path, func(w io.Writer) error {
		var err error
		l.checksum, err = checksum(l.write, w)
		return err
	}, out)
}

// checksum passes what write writes on to w, and returns its sha1 in hex.
func checksum(write func(io.Writer) error, w io.Writer) (string, error) {
	sum := sha1.New()
	err := write(io.MultiWriter(sum, w))
	return hex.EncodeToString(sum.Sum(nil)), err
}

// hashLen is how much of a checksum goes into the name of a data file.
const hashLen = 12

// dataFiles lists the files beside a model that Save may have made for it.
func dataFiles(model string) []string {
	entries, err := os.ReadDir(filepath.Dir(model))
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), filepath.Base(model)+".data")
		if ok && e.Type().IsRegular() && (rest == "" || len(rest) == 1+hashLen && rest[0] == '-') {
			list = append(list, filepath.Join(filepath.Dir(model), e.Name()))
		}
	}
	return list
}

// isOneOf says whether path leads to the same file as one of the list.
func isOneOf(path string, list []string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, p := range list {
		other, err := os.Stat(p)
		if err == nil && os.SameFile(info, other) {
			return true
		}
	}
	return false
}
