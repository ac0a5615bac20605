package dataset

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lowbit/internal/fault"
)

var imageForm = form{
	name: "images",
	rule: "a folder of images: CLASS/*.jpg, or flat with a file of labels (lines of file and class)",
	detect: func(path string, st fs.FileInfo) bool {
		return st != nil && (st.IsDir() || isImage(path))
	},
	open: openImages,
}

var imageSuffixes = []string{".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp"}

func isImage(name string) bool {
	return slices.Contains(imageSuffixes, strings.ToLower(filepath.Ext(name))) && !strings.HasPrefix(filepath.Base(name), ".")
}

// images are image files, decoded when they are asked for.
type images struct {
	root   string
	files  []string // under root, sorted
	labels []int    // nil where there are none; -1 for a file without one
	pixels *pixels
}

func openImages(path string, o *Options, info *Info) (reader, error) {
	d := &images{root: path}
	if err := d.scan(info); err != nil {
		return nil, err
	}
	if len(d.files) == 0 {
		return nil, fault.Invalidf(path, "no images in the folder (%s)", strings.Join(imageSuffixes, " "))
	}
	if err := d.label(o, info); err != nil {
		return nil, err
	}
	info.Labelled = d.labels != nil
	var err error
	if d.pixels, err = newPixels(o, 0); err != nil {
		return nil, fault.At(path, err)
	}
	info.Preprocess = &d.pixels.pre
	return d, nil
}

// scan lists the images: those of the folder itself, or else those of its folders, whose sorted
// names are the classes.
func (d *images) scan(info *Info) error {
	if st, err := os.Stat(d.root); err == nil && !st.IsDir() {
		d.root, d.files = filepath.Dir(d.root), []string{filepath.Base(d.root)}
		return nil
	}
	files, folders, err := list(d.root)
	if err != nil || len(files) > 0 {
		d.files = files
		return err
	}
	for _, class := range folders {
		files, _, err := list(filepath.Join(d.root, class))
		if err != nil {
			return err
		}
		if len(files) == 0 {
			continue
		}
		for _, f := range files {
			d.files = append(d.files, filepath.Join(class, f))
			d.labels = append(d.labels, len(info.Classes))
		}
		info.Classes = append(info.Classes, class)
	}
	return nil
}

// list returns the names of the images and of the folders in a folder, each sorted.
func list(folder string) (files, folders []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil, fault.IOf(folder, err)
	}
	for _, e := range entries {
		st, err := os.Stat(filepath.Join(folder, e.Name()))
		switch {
		case err != nil:
			return nil, nil, fault.IOf(filepath.Join(folder, e.Name()), err)
		case st.IsDir() && !strings.HasPrefix(e.Name(), "."):
			folders = append(folders, e.Name())
		case st.Mode().IsRegular() && isImage(e.Name()):
			files = append(files, e.Name())
		}
	}
	return files, folders, nil
}

// label takes labels from the options' file, or from labels.txt beside flat images.
func (d *images) label(o *Options, info *Info) error {
	path := o.Labels
	if path == "" {
		path = filepath.Join(d.root, "labels.txt")
		if _, err := os.Stat(path); err != nil || d.labels != nil {
			return nil
		}
	}
	lines, err := readLabelFile(path)
	if err != nil {
		return err
	}
	info.Classes = nil
	if len(lines) == len(d.files) && !slices.ContainsFunc(lines, func(l labelLine) bool { return l.file != "" }) {
		d.labels = make([]int, len(lines))
		for i, l := range lines {
			d.labels[i] = l.label
		}
		return nil
	}
	return d.labelByName(path, lines)
}

// labelByName gives each file the label of the line that names it.
func (d *images) labelByName(path string, lines []labelLine) error {
	number := make(map[string]int, 2*len(d.files))
	for i, f := range d.files {
		number[filepath.ToSlash(f)] = i
	}
	d.labels = slices.Repeat([]int{-1}, len(d.files))
	for _, l := range lines {
		i, ok := number[strings.TrimPrefix(filepath.ToSlash(l.file), "./")]
		if !ok {
			return fault.Invalidf(path, "line %d: %q is not among the images of %s", l.line, l.file, d.root)
		}
		if d.labels[i] >= 0 && d.labels[i] != l.label {
			return fault.Invalidf(path, "line %d: %q has the label %d already", l.line, l.file, d.labels[i])
		}
		d.labels[i] = l.label
	}
	return nil
}

func (d *images) len() int     { return len(d.files) }
func (d *images) close() error { return nil }

func (d *images) sample(i int) (*Sample, error) {
	path := filepath.Join(d.root, d.files[i])
	r, err := readImage(path)
	if err != nil {
		return nil, err
	}
	return d.pixels.sample(path, r, label(d.labels, i))
}
