// Words times a language model word by word: words THREADS WORDS MODEL.onnx. The model is one that words.py writes: its past is
// given and returned, and grows with each word.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"lowbit"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("words THREADS WORDS MODEL.onnx")
	}
	threads, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	words, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	m, err := lowbit.Open(args[2])
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := m.Compile(lowbit.CompileOptions{Threads: threads})
	if err != nil {
		return err
	}
	defer s.Close()
	times, said, err := speak(s, m, words)
	if err != nil {
		return err
	}
	first := times[0]
	slices.Sort(times)
	fmt.Println(first.Seconds()*1e3, times[len(times)/2].Seconds()*1e3, times[0].Seconds()*1e3, said)
	return nil
}

const prompt = 64 // words

// speak returns the time of the prompt and of each word behind it, and the words.
func speak(s *lowbit.Session, m *lowbit.Model, words int) (times []time.Duration, said []int64, err error) {
	in := map[string]*lowbit.Tensor{}
	for _, v := range m.Inputs() {
		if strings.HasPrefix(v.Name, "past") {
			heads, size := v.Type.Shape[1].Size, v.Type.Shape[3].Size
			if in[v.Name], err = lowbit.NewTensor([]float32{}, 1, heads, 0, size); err != nil {
				return nil, nil, err
			}
		}
	}
	next := make([]int64, prompt)
	for i := range next {
		next[i] = int64(i * 37 % 1000)
	}
	for all := 0; len(times) <= words; {
		mask := slices.Repeat([]int64{1}, all+len(next))
		if in["input_ids"], err = lowbit.NewTensor(next, 1, len(next)); err != nil {
			return nil, nil, err
		}
		if in["attention_mask"], err = lowbit.NewTensor(mask, 1, len(mask)); err != nil {
			return nil, nil, err
		}
		all = len(mask)
		start := time.Now()
		out, err := s.Run(context.Background(), in)
		if err != nil {
			return nil, nil, err
		}
		times = append(times, time.Since(start))
		for name, t := range out {
			if rest, ok := strings.CutPrefix(name, "present"); ok {
				in["past"+rest] = t
			}
		}
		word, err := likeliest(out["logits"])
		if err != nil {
			return nil, nil, err
		}
		next = []int64{word}
		said = append(said, word)
	}
	return times, said, nil
}

// likeliest is the word with the greatest score behind the last row.
func likeliest(logits *lowbit.Tensor) (int64, error) {
	scores, err := lowbit.Values[float32](logits)
	if err != nil {
		return 0, err
	}
	last := scores[len(scores)-logits.Shape[2]:]
	return int64(slices.Index(last, slices.Max(last))), nil
}
