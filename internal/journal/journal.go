// Package journal keeps what is done of long work in a file, so that a run that was killed can be taken up where
// it was. The file holds one record a line, each with a check sum; a line that was torn, and what follows it, is
// dropped.
package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"lowbit/internal/fault"
)

// A Journal is the file of one piece of work. It is not safe for concurrent use, Kept aside.
type Journal struct {
	path, work string
	file       *os.File // nil until something is kept
	size       int64    // of the lines that are whole
	at         map[string]span
	kept       atomic.Int64 // of them
	found      int          // records of an earlier run
	other      bool
	failed     error
}

// A span is where the value of a record stands.
type span struct {
	from int64
	n    int
}

// A line is one line of the file. The check sum is of the record's bytes.
type line struct {
	CRC    string          `json:"crc32c"`
	Record json.RawMessage `json:"record"`
}

type record struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// opening is how every line begins, and workKey the key of the first record, which says what the others are of.
const (
	opening = `{"crc32c":"`
	workKey = "work"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Check refuses a path where something else lies than a journal.
func Check(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.IOf(path, err)
	}
	if !info.Mode().IsRegular() {
		return fault.Invalidf(path, "is not a plain file")
	}
	f, err := os.Open(path)
	if err != nil {
		return fault.IOf(path, err)
	}
	defer f.Close()
	b := make([]byte, len(opening))
	n, err := io.ReadFull(f, b)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fault.IOf(path, err)
	}
	if string(b[:n]) != opening[:n] {
		return fault.Invalidf(path, "is no journal, and would be replaced by one").WithHint("move it away")
	}
	return nil
}

// Open reads the journal at path. What it holds of other work than the one named is forgotten: its file is
// replaced when something is kept.
func Open(path, work string) (*Journal, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	j := Begin(path, work)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	defer f.Close()
	if err := j.read(f); err != nil {
		return nil, fault.IOf(path, err)
	}
	return j, nil
}

// Begin begins a journal whatever lies at path: its file is replaced when something is kept.
func Begin(path, work string) *Journal {
	return &Journal{path: path, work: work, at: map[string]span{}}
}

// read takes in the records that are whole.
func (j *Journal) read(f io.Reader) error {
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		text, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		rec, ok := parse(text)
		if !ok {
			return nil
		}
		if j.size == 0 {
			if own, _ := json.Marshal(j.work); rec.Key != workKey || string(rec.Value) != string(own) {
				j.other = true
				return nil
			}
		} else {
			j.found++
			j.place(rec, text)
		}
		j.size += int64(len(text))
	}
}

// place notes where the value of a record stands that is the next line of the file.
func (j *Journal) place(rec *record, text []byte) {
	n := len(rec.Value)
	j.at[rec.Key] = span{j.size + int64(len(text)-len("}}\n")-n), n}
	j.kept.Store(int64(len(j.at)))
}

// parse reads one line, false where it is torn.
func parse(text []byte) (*record, bool) {
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return nil, false
	}
	var l line
	rec := &record{}
	if json.Unmarshal(text, &l) != nil || l.CRC != sum(l.Record) || json.Unmarshal(l.Record, rec) != nil {
		return nil, false
	}
	return rec, true
}

func sum(b []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli)) }

// Found is how many records an earlier run left.
func (j *Journal) Found() int { return j.found }

// Other says whether the file was of other work.
func (j *Journal) Other() bool { return j.other }

// Kept is how many records there are now.
func (j *Journal) Kept() int { return int(j.kept.Load()) }

// Recall fills v with what was kept under a key, and says whether anything was.
func (j *Journal) Recall(key string, v any) bool {
	s, ok := j.at[key]
	if !ok {
		return false
	}
	f, err := os.Open(j.path)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, s.n)
	if _, err := f.ReadAt(b, s.from); err != nil {
		return false
	}
	return json.Unmarshal(b, v) == nil
}

// Keep adds a record, and returns once it is on the disk. After a failure nothing more is kept, and no torn line is left,
// nor a file without records. A value that JSON cannot write, such as an infinity, is left out.
func (j *Journal) Keep(key string, v any) error {
	if j.failed == nil {
		if j.failed = j.keep(key, v); j.failed != nil {
			j.retreat()
		}
	}
	return j.failed
}

// retreat takes back what was not written whole. What cannot be taken back, the next run drops.
func (j *Journal) retreat() {
	switch {
	case j.file == nil:
	case j.Kept() > 0:
		_ = j.file.Truncate(j.size)
	default:
		_ = j.Remove()
	}
}

func (j *Journal) keep(key string, v any) error {
	if j.file == nil {
		if err := j.begin(); err != nil {
			return fault.IOf(j.path, err)
		}
	}
	if err := j.write(key, v); err != nil {
		return fault.IOf(j.path, err)
	}
	return nil
}

// begin opens the file to write behind what is whole, or begins a new one.
func (j *Journal) begin() (err error) {
	if err = fault.Point(fault.StepCreate); err != nil {
		return err
	}
	if j.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_CREATE, 0o644); err != nil {
		return err
	}
	if err = j.file.Truncate(j.size); err != nil {
		return err
	}
	if _, err = j.file.Seek(j.size, io.SeekStart); err != nil || j.size > 0 {
		return err
	}
	if err = j.write(workKey, j.work); err != nil {
		return err
	}
	delete(j.at, workKey)
	j.kept.Store(int64(len(j.at)))
	return nil
}

// write adds one line.
func (j *Journal) write(key string, v any) error {
	value, err := json.Marshal(v)
	if _, odd := err.(*json.UnsupportedValueError); odd {
		return nil
	}
	if err != nil {
		return err
	}
	rec := record{key, value}
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	text := []byte(opening + sum(b) + `","record":` + string(b) + "}\n")
	if err := fault.Point(fault.StepWrite); err != nil {
		return err
	}
	if _, err := j.file.Write(text); err != nil {
		return err
	}
	if err := fault.Point(fault.StepSync); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.place(&rec, text)
	j.size += int64(len(text))
	return nil
}

// Close closes the file and leaves it where it is.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	if j.file = nil; err != nil {
		return fault.IOf(j.path, err)
	}
	return nil
}

// Remove removes the file: the work is done.
func (j *Journal) Remove() error {
	if err := j.Close(); err != nil {
		return err
	}
	if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.IOf(j.path, err)
	}
	return nil
}
