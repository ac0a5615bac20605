package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
)

type runFlags struct {
	input, output string
	backend       backend
}

func runCmd(a *app) *cobra.Command {
	r := &runFlags{}
	cmd := &cobra.Command{
		Use: "run MODEL --input IN --output OUT", Short: "Run a model on one input", Args: positional("MODEL"),
		Example: "  lowbit run model.onnx --input in.npz --output out.npz\n  lowbit run model.onnx --input x.npy --output out.npz --backend reference",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args[0], r) },
	}
	f := cmd.Flags()
	f.StringVar(&r.input, "input", "", "npz with a key for each input, or npy for a model with one")
	f.StringVarP(&r.output, "output", "o", "", "npz to write")
	r.backend.add(cmd)
	return cmd
}

func (a *app) run(ctx context.Context, path string, r *runFlags) error {
	if r.input == "" || r.output == "" {
		return fault.Invalidf("run", "--input and --output are needed")
	}
	dest := atomicfile.Options{Force: a.force, Sources: []string{path, r.input}}
	if err := atomicfile.Check(r.output, dest); err != nil {
		return err
	}
	m, err := a.openToRun(path)
	if err != nil {
		return err
	}
	defer m.Close()
	dest.Sources = append(dest.Sources, m.Files()...)
	if err := atomicfile.Check(r.output, dest); err != nil {
		return err
	}
	in, err := readInputs(r.input, m.Graph().Graph.Required())
	if err != nil {
		return err
	}
	s, err := a.compile(m, r.backend, load{workers: 1, inputs: typesOf(in), copies: 1})
	if err != nil {
		return err
	}
	out, err := s.Run(ctx, in)
	if err != nil {
		return fault.At(path, err)
	}
	var arrays []npz.Array
	for _, v := range s.Outputs() {
		arrays = append(arrays, npz.Array{Name: v.Name, Tensor: out[v.Name]})
	}
	if err := atomicfile.Write(r.output, func(w io.Writer) error { return npz.Write(w, arrays) }, dest); err != nil {
		return err
	}
	a.next("bench", path)
	return a.printRun(r.output, arrays)
}

func (a *app) printRun(output string, arrays []npz.Array) error {
	outs := map[string]string{}
	for _, v := range arrays {
		outs[v.Name] = v.Tensor.String()
		if a.json {
			continue
		}
		if err := a.printf("%s %s\n", v.Name, v.Tensor); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.run/v1", "output": output, "outputs": outs})
	}
	return nil
}

// readInputs reads inputs from a .npz, or from a .npy where the model has one.
func readInputs(path string, inputs []*graph.Value) (map[string]*lowbit.Tensor, error) {
	arrays, err := npz.ReadFile(path)
	if err != nil {
		return nil, err
	}
	in := map[string]*lowbit.Tensor{}
	for _, v := range arrays {
		name := v.Name
		if strings.EqualFold(filepath.Ext(path), ".npy") && len(inputs) == 1 {
			name = inputs[0].Name
		}
		in[name] = v.Tensor
	}
	return in, nil
}
