package dataset

import (
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"lowbit/internal/fault"
)

var arrayFolderForm = form{
	name: "array folder",
	rule: "a folder of .npz (or .npy) files, sorted by name",
	detect: func(path string, st fs.FileInfo) bool {
		return st != nil && st.IsDir() && len(arrayFiles(path)) > 0
	},
	open: openArrayFolder,
}

// arrayFiles returns the array files of a folder that holds no images.
func arrayFiles(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if isImage(e.Name()) {
			return nil
		}
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if !e.IsDir() && (ext == ".npz" || ext == ".npy") {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	return out
}

// arrayFolder is the samples of several files, one after the other. A file is open only while it
// is read, since there may be more of them than a process may open.
type arrayFolder struct {
	files []string
	ends  []int // samples up to the end of each file
	o     Options
}

func openArrayFolder(path string, o *Options, info *Info) (reader, error) {
	if o.Labels != "" {
		return nil, fault.Unsupportedf(path, "labels of a folder of arrays are read from their key labels or y")
	}
	d := &arrayFolder{o: *o}
	d.o.Preprocess = nil
	total, labelled := 0, 0
	for _, f := range arrayFiles(path) {
		var one Info
		r, err := openArrays(f, &d.o, &one)
		if err != nil {
			return nil, err
		}
		total += r.len()
		if one.Labelled {
			labelled++
		}
		d.files, d.ends = append(d.files, f), append(d.ends, total)
		if err := r.close(); err != nil {
			return nil, fault.IOf(f, err)
		}
	}
	info.Labelled = labelled == len(d.files)
	return d, nil
}

func (d *arrayFolder) len() int     { return d.ends[len(d.ends)-1] }
func (d *arrayFolder) close() error { return nil }

func (d *arrayFolder) sample(i int) (*Sample, error) {
	k := sort.SearchInts(d.ends, i+1)
	if k > 0 {
		i -= d.ends[k-1]
	}
	r, err := openArrays(d.files[k], &d.o, &Info{})
	if err != nil {
		return nil, err
	}
	defer r.close()
	if i >= r.len() {
		return nil, fault.Invalidf(d.files[k], "holds fewer samples than when it was opened first")
	}
	return r.sample(i)
}
