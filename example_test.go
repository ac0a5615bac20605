package lowbit_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"log"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"lowbit"
)

// quantizeAndRun is what README.md shows.
func quantizeAndRun(ctx context.Context, pixels []float32) ([]float32, error) {
	m, err := lowbit.Open("mobilenetv2.onnx")
	if err != nil {
		return nil, err
	}
	defer m.Close()
	data, err := lowbit.OpenData("calib/", lowbit.DataOptions{Preprocess: "imagenet", Samples: 300}, m)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	q, err := lowbit.Quantize(ctx, m, lowbit.QuantizeOptions{Data: data})
	if err != nil {
		return nil, err
	}
	if err := q.Model.Save("mobilenetv2.int8.onnx", lowbit.SaveOptions{}); err != nil {
		return nil, err
	}
	s, err := q.Model.Compile(lowbit.CompileOptions{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	x, err := lowbit.NewTensor(pixels, 1, 3, 224, 224)
	if err != nil {
		return nil, err
	}
	out, err := s.Run(ctx, map[string]*lowbit.Tensor{"input": x})
	if err != nil {
		return nil, err
	}
	return lowbit.Values[float32](out["output"])
}

// The images of calib/ calibrate a network, which is then written and run.
func Example() {
	_, err := quantizeAndRun(context.Background(), make([]float32, 3*224*224))
	fmt.Println(errors.Is(err, fs.ErrNotExist), err)
	// Output: true mobilenetv2.onnx: there is no such file
}

// A model tells what it wants to be given, and returns its outputs by name.
func ExampleSession() {
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for _, v := range m.Inputs() {
		fmt.Println("input", v.Name, v.Type, v.Type.Shape[0].IsKnown(), v.Type.Shape[1].Size)
	}
	s, err := m.Compile(lowbit.CompileOptions{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	x, err := lowbit.NewTensor([]float32{1, 0, 0, 0, 0, 2, 0, -1}, 2, 4)
	if err != nil {
		log.Fatal(err)
	}
	out, err := s.Run(context.Background(), map[string]*lowbit.Tensor{"x": x})
	if err != nil {
		log.Fatal(err)
	}
	y, err := lowbit.Values[float32](out["y"])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("output y %v %.2f\n", out["y"].Shape, y)
	// Output:
	// input x float[N,4] false 4
	// output y [2 3] [-3.05 4.91 -1.13 1.51 0.91 -1.77]
}

// Several goroutines share one session. Inputs may be shared and used again; outputs stay as they are.
func ExampleSession_concurrent() {
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.Compile(lowbit.CompileOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	x, err := lowbit.NewTensor([]float32{1, 0, 0, 0}, 1, 4)
	if err != nil {
		log.Fatal(err)
	}
	answers := make([]map[string]*lowbit.Tensor, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for range 20 {
				out, err := s.Run(context.Background(), map[string]*lowbit.Tensor{"x": x})
				if err != nil {
					log.Print(err)
					return
				}
				answers[i] = out
			}
		})
	}
	wg.Wait()
	same := true
	for _, out := range answers {
		same = same && string(out["y"].Raw) == string(answers[0]["y"].Raw)
	}
	fmt.Println(same)
	// Output: true
}

// Elements are Go numbers where Go has them; others are given as bits, or converted.
func ExampleNewTensor() {
	a, err := lowbit.NewTensor([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
	fmt.Println(a, err)
	b, err := lowbit.NewTensor([]bool{true, false}, 2)
	fmt.Println(b, err)
	c, err := lowbit.NewStrings([]string{"a", "few", "words"}, 3)
	fmt.Println(c, err)
	d, err := lowbit.NewTensorOf(lowbit.Float16, []uint16{0x3c00, 0xc000}, 2)
	fmt.Println(d, err)
	_, err = lowbit.NewTensor([]float32{1, 2, 3}, 2, 2)
	fmt.Println(err)
	// Output:
	// int64[2,3] <nil>
	// bool[2] <nil>
	// string[3] <nil>
	// float16[2] <nil>
	// tensor: 3 elements are given for shape [2,2], which has 4
}

// Numbers of any type become numbers of any other, and are read as what Go has.
func ExampleConvert() {
	x, err := lowbit.NewTensor([]float32{0.1, -7.5, 300}, 3)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range []lowbit.DType{lowbit.Float16, lowbit.Float8E4M3FN, lowbit.Int4} {
		t, err := lowbit.Convert(x, d)
		if err != nil {
			log.Fatal(err)
		}
		back, err := lowbit.Convert(t, lowbit.Float32)
		if err != nil {
			log.Fatal(err)
		}
		v, err := lowbit.Values[float32](back)
		fmt.Println(d, len(t.Raw), v, err)
	}
	// Output:
	// float16 6 [0.099975586 -7.5 300] <nil>
	// float8e4m3fn 3 [0.1015625 -7.5 288] <nil>
	// int4 2 [0 -7 -4] <nil>
}

// wave makes samples in memory: four numbers between -1 and 1.
func wave(first, n int) (*lowbit.Data, error) {
	return lowbit.NewData(n, func(i int) (map[string]*lowbit.Tensor, error) {
		v := make([]float32, 4)
		for k := range v {
			v[k] = float32(math.Sin(float64(7*(first+i) + 3*k)))
		}
		x, err := lowbit.NewTensor(v, 1, 4)
		return map[string]*lowbit.Tensor{"x": x}, err
	})
}

// A network is quantized on samples that the program makes, with the first layer left in float, and written.
func ExampleQuantize() {
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	data, err := wave(0, 64)
	if err != nil {
		log.Fatal(err)
	}
	stages := map[string]bool{}
	r, err := lowbit.Quantize(context.Background(), m, lowbit.QuantizeOptions{
		Recipe:   &lowbit.Recipe{Scheme: "W8A8", Keep: []lowbit.Keep{{Pattern: "first"}}, Fix: []string{"none"}},
		Data:     data,
		Progress: func(stage string, done, total int) { stages[stage] = true },
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range r.Plan.Nodes {
		fmt.Println(n.Name, n.Quantized)
	}
	fmt.Println(r.Gate.Samples > 0, r.Gate.SQNR > 20, len(stages) > 0)

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tiny.int8.onnx")
	fmt.Println(r.Model.Save(path, lowbit.SaveOptions{}))
	err = r.Model.Save(path, lowbit.SaveOptions{}) // an existing file stays
	fmt.Println(errors.Is(err, lowbit.ErrInvalid))
	// Output:
	// first false
	// bias false
	// relu false
	// second true
	// true true true
	// <nil>
	// true
}

// What makes a quantized network worse is found, and mended in a copy.
func ExampleDiagnose() {
	ctx := context.Background()
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	data, err := wave(0, 64)
	if err != nil {
		log.Fatal(err)
	}
	recipe := &lowbit.Recipe{Fix: []string{"none"}, Overrides: []lowbit.Override{{Match: "second"}}}
	recipe.Overrides[0].Weights.Format = "int2"
	r, err := lowbit.Quantize(ctx, m, lowbit.QuantizeOptions{Recipe: recipe, Data: data})
	if err != nil {
		log.Fatal(err)
	}
	others, err := wave(100, 32)
	if err != nil {
		log.Fatal(err)
	}
	d, err := lowbit.Diagnose(ctx, m, r.Model, lowbit.DiagnoseOptions{Data: others})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("healthy:", d.Healthy)
	for _, c := range d.Causes {
		fmt.Println(c.Name, c.Cause)
	}
	if d.Fixed != nil {
		fmt.Println("mended:", d.Fixed.SQNR > d.SQNR, len(d.Fixed.Model.Outputs()))
	}
	// Output:
	// healthy: false
	// second rounding below bits
	// mended: true 1
}

// Kinds of error tell what a program can do about them.
func ExampleError() {
	_, err := lowbit.Open("testdata/none.onnx")
	fmt.Println(errors.Is(err, lowbit.ErrIO), errors.Is(err, fs.ErrNotExist))

	_, err = lowbit.Decode([]byte("this is no network"))
	fmt.Println(errors.Is(err, lowbit.ErrInvalid))

	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.Compile(lowbit.CompileOptions{CPU: "generic"})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	x, err := lowbit.NewTensor([]int32{1, 2, 3, 4}, 1, 4)
	if err != nil {
		log.Fatal(err)
	}
	_, err = s.Run(context.Background(), map[string]*lowbit.Tensor{"x": x})
	if errors.Is(err, lowbit.ErrInvalid) {
		fmt.Println(err)
	}
	_, err = lowbit.Quantize(context.Background(), m, lowbit.QuantizeOptions{Recipe: &lowbit.Recipe{Scheme: "W8A9"}})
	if e := new(lowbit.Error); errors.As(err, &e) {
		fmt.Printf("%v; hint: %s\n", e, e.Hint)
	}
	// Output:
	// true true
	// true
	// input "x": is int32[1,4], the model wants float[N,4]
	// scheme: "W8A9" is not one of W8A8, W8A16, W4A8, W4A16, FP16, BF16, FP8, BIN, LOG4, float, mixed; hint: did you mean "W8A8"?
}

// A service turns images into answers: any number of requests share a session, and each has a deadline.
func ExampleNewImageInput() {
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.Compile(lowbit.CompileOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	images, err := lowbit.NewImageInput(m, "testdata/four.yaml") // "" for a model that lowbit calibrated on images
	if err != nil {
		log.Fatal(err)
	}
	answer := func(img image.Image) ([]float32, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		in, err := images.Inputs(img)
		if err != nil {
			return nil, err
		}
		out, err := s.Run(ctx, in)
		if err != nil {
			return nil, err
		}
		return lowbit.Values[float32](out["y"])
	}
	img := image.NewGray(image.Rect(0, 0, 30, 20))
	img.Pix[0] = 255
	scores, err := answer(img)
	fmt.Println(len(scores), err)
	// Output: 3 <nil>
}

// A model is held against the one that it was made from on samples of the caller's.
func ExampleCompare() {
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	recipe, err := lowbit.ParseRecipe([]byte("{schema: lowbit.recipe/v1, mode: weights, weights: {format: int8, block: channel}}"))
	if err != nil {
		log.Fatal(err)
	}
	r, err := lowbit.Quantize(context.Background(), m, lowbit.QuantizeOptions{Recipe: recipe})
	if err != nil {
		log.Fatal(err)
	}
	data, err := wave(0, 16)
	if err != nil {
		log.Fatal(err)
	}
	c, err := lowbit.Compare(context.Background(), m, r.Model, lowbit.CompareOptions{Data: data})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Samples, c.SQNR > 30, c.Cosine > 0.999)
	// Output: 16 true true
}

// A model may live in memory alone.
func ExampleDecode() {
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	r, err := lowbit.Quantize(context.Background(), m, lowbit.QuantizeOptions{Recipe: &lowbit.Recipe{
		Weights: lowbit.Scheme{Format: "int4", Block: "group=2"}, Mode: "weights"}})
	if err != nil {
		log.Fatal(err)
	}
	b, err := r.Model.Encode()
	if err != nil {
		log.Fatal(err)
	}
	back, err := lowbit.Decode(b)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Inputs()[0].Type, back.Outputs()[0].Name, len(back.Metadata()["lowbit.source_sha256"]))
	// Output: float[N,4] y 64
}
