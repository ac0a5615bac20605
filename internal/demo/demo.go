// Package demo makes labelled images of letters and digits, and holds a small network that was
// trained on such images, so that everything can be shown without a download.
//
// An image is an outline of the Go fonts, warped, blurred and covered with noise. All of it is
// computed in whole numbers from a seed: every machine makes the same images.
package demo

import (
	_ "embed" // for the network
	"math/rand/v2"

	"lowbit/internal/tensor"
)

// Side is the height and width of an image in pixels.
const Side = 32

// Classes are the characters drawn; the label of an image is an index into it.
const Classes = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Input and Output name the input of the network, float [N,1,32,32], and its output, float [N,36].
const (
	Input  = "image"
	Output = "scores"
)

//go:embed glyphs.onnx
var model []byte

// Model returns the network as an ONNX file. The bytes are not to be changed.
func Model() []byte { return model }

// Image draws image i of a seed, as bytes in rows of Side, and returns it with its label.
func Image(seed uint64, i int) (pixels []uint8, label int) {
	rng := rand.New(rand.NewPCG(seed, uint64(i)))
	label = rng.IntN(len(Classes))
	face := outlines()[rng.IntN(len(fonts))]
	cover := rasterize(warp(face[label], rng))
	return expose(cover, rng), label
}

// Images draws n images of a seed, from number 0 on, as the network takes them: float [n,1,32,32]
// from −1 for black to 1 for white.
func Images(seed uint64, n int) (*tensor.Tensor, []int) {
	t := tensor.New(tensor.Float32, n, 1, Side, Side)
	labels := make([]int, n)
	out := tensor.Of[float32](t)
	for i := range labels {
		var pixels []uint8
		pixels, labels[i] = Image(seed, i)
		for _, p := range pixels {
			out[0] = Normalize(p)
			out = out[1:]
		}
	}
	return t, labels
}

// Normalize returns the number that the network takes for a pixel.
func Normalize(p uint8) float32 { return float32(2*int(p)-255) / 255 }
