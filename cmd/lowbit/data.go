package main

import (
	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
)

// dataFlags name a set of samples.
type dataFlags struct {
	path, labels, preprocess, split string
	samples                         int
}

func (d *dataFlags) add(cmd *cobra.Command, samples int) {
	f := cmd.Flags()
	f.StringVar(&d.path, "data", "", "samples: a folder of images, npz, npy, IDX, CSV, ONNX test sets, or random:normal")
	f.StringVar(&d.labels, "labels", "", "file of lines 'file label'")
	f.StringVar(&d.preprocess, "preprocess", "", "imagenet, imagenet-tf, caffe, none, or a YAML file")
	f.StringVar(&d.split, "split", "", "train or test, where a folder holds both")
	f.IntVar(&d.samples, "samples", samples, "samples to use; 0 takes all")
}

// open opens the samples for a model. The model's own metadata names the pre-processing where no
// flag does.
func (a *app) openData(d *dataFlags, m *lowbit.Model) (*dataset.Source, error) {
	if d.path == "" {
		return nil, fault.Invalidf("--data", "is missing").WithHint("name a folder of images, an .npz file, …; see lowbit help")
	}
	o := dataset.Options{Inputs: m.Graph().Graph.Required(), Labels: d.labels, Split: d.split, Samples: d.samples, Seed: a.seed}
	var err error
	switch stored := m.Graph().MetaValue("lowbit.preprocess"); {
	case d.preprocess != "":
		o.Preprocess, err = dataset.LoadPreprocess(d.preprocess)
	case stored != "":
		o.Preprocess, err = dataset.ParsePreprocess([]byte(stored))
	}
	if err != nil {
		return nil, err
	}
	src, err := dataset.Open(d.path, o)
	if err != nil {
		return nil, err
	}
	for _, w := range src.Info().Warnings {
		a.warn("%s", w)
	}
	return src, nil
}
