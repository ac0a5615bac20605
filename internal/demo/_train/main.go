// Command _train writes images of the demo to FILE.npz for train.py: keys train, train_labels,
// eval and eval_labels.
//
//	go run ./internal/demo/_train 60000 /tmp/glyphs.npz
package main

import (
	"fmt"
	"os"
	"strconv"

	"lowbit/internal/demo"
	"lowbit/internal/npz"
	"lowbit/internal/tensor"
)

// The seeds differ from each other and from those that the demo itself draws from.
const (
	trainSeed = 1 << 40
	evalSeed  = trainSeed + 1
	evalCount = 5000
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: go run ./internal/demo/_train COUNT FILE.npz")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	f, err := os.Create(args[1])
	if err != nil {
		return err
	}
	defer f.Close()
	train, trainLabels := draw(trainSeed, n)
	eval, evalLabels := draw(evalSeed, evalCount)
	return npz.Write(f, []npz.Array{
		{Name: "train", Tensor: train}, {Name: "train_labels", Tensor: trainLabels},
		{Name: "eval", Tensor: eval}, {Name: "eval_labels", Tensor: evalLabels},
	})
}

// draw returns images as uint8 [n,1,32,32] and labels as uint8 [n].
func draw(seed uint64, n int) (images, labels *tensor.Tensor) {
	images = tensor.New(tensor.Uint8, n, 1, demo.Side, demo.Side)
	labels = tensor.New(tensor.Uint8, n)
	for i := range n {
		pixels, label := demo.Image(seed, i)
		copy(images.Raw[i*len(pixels):], pixels)
		labels.Raw[i] = uint8(label)
	}
	return images, labels
}
