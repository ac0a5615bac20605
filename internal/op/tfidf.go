package op

import (
	"slices"
	"strconv"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// ngrams is the vocabulary of a TfIdfVectorizer: the number of each n-gram, by its words.
type ngrams struct {
	id     map[string]int
	column []int // of the output, for each n-gram
	width  int   // of the output
}

// ngramsOf reads a node's pool, which holds all 1-grams, then all 2-grams, and so on from the
// positions that ngram_counts lists.
func ngramsOf(n *graph.Node) (*ngrams, error) {
	pool := n.Strs("pool_strings")
	for _, v := range n.Ints("pool_int64s") {
		pool = append(pool, strconv.Itoa(v))
	}
	g := &ngrams{id: map[string]int{}, column: n.Ints("ngram_indexes")}
	starts := n.Ints("ngram_counts")
	next := 0
	for i, from := range starts {
		to := len(pool)
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		if from < 0 || from > to || to > len(pool) || (to-from)%(i+1) != 0 {
			return nil, invalidf("ngram_counts %v do not divide a pool of %d", starts, len(pool))
		}
		for at := from; at < to; at += i + 1 {
			g.id[ngramKey(pool[at:at+i+1], 1, i+1)] = next
			next++
		}
	}
	if next != len(g.column) {
		return nil, invalidf("%d ngram_indexes for %d n-grams", len(g.column), next)
	}
	for _, c := range g.column {
		if c < 0 || c > maxBytes {
			return nil, invalidf("ngram index %d is out of range", c)
		}
		g.width = max(g.width, c+1)
	}
	return g, nil
}

// ngramKey names the n words that stand step apart, each behind its length.
func ngramKey(words []string, step, n int) string {
	var b strings.Builder
	for i := range n {
		w := words[i*step]
		b.WriteString(strconv.Itoa(len(w)) + ":" + w)
	}
	return b.String()
}

// count counts the n-grams of one row of words, with up to skip words left out between two.
func (g *ngrams) count(words []string, least, most, skip int) []int {
	out := make([]int, len(g.column))
	for n := max(least, 1); n <= min(most, len(words)); n++ {
		for step := 1; step <= skip+1 && (n-1)*step < len(words); step++ {
			for at := 0; at+(n-1)*step < len(words); at++ {
				if id, ok := g.id[ngramKey(words[at:], step, n)]; ok {
					out[id]++
				}
			}
			if n == 1 {
				break // a single word leaves nothing out
			}
		}
	}
	return out
}

// termWeight is what a mode makes of the count and the weight of an n-gram.
var termWeight = map[string]func(count, weight float32) float32{
	"TF":    func(n, w float32) float32 { return n },
	"IDF":   func(n, w float32) float32 { return min(n, 1) * w },
	"TFIDF": func(n, w float32) float32 { return n * w },
}

func evalTfIdfVectorizer(c *Call) ([]*tensor.Tensor, error) {
	g, err := ngramsOf(c.Node)
	if err != nil {
		return nil, err
	}
	mode, weights := termWeight[c.Str("mode", "")], c.Floats("weights")
	if weights == nil {
		weights = slices.Repeat([]float32{1}, len(g.column))
	}
	if mode == nil || len(weights) != len(g.column) {
		return nil, invalidf("mode %q with %d weights", c.Str("mode", ""), len(weights))
	}
	words, rows, length, err := rowsOfWords(c.In[0])
	if err != nil {
		return nil, err
	}
	out, err := newChecked(tensor.Float32, append(c.In[0].Shape[:c.In[0].Rank()-1:c.In[0].Rank()-1], g.width)...)
	if err != nil {
		return nil, err
	}
	y := tensor.Of[float32](out)
	for r := range rows {
		counts := g.count(words[r*length:(r+1)*length], c.Int("min_gram_length", 1), c.Int("max_gram_length", 1), c.Int("max_skip_count", 0))
		for id, n := range counts {
			y[r*g.width+g.column[id]] += mode(float32(n), weights[id])
		}
	}
	return []*tensor.Tensor{out}, nil
}

// rowsOfWords reads (C) or (N,C) as rows of words; integers become their decimal digits.
func rowsOfWords(x *tensor.Tensor) (words []string, rows, length int, err error) {
	switch x.Rank() {
	case 1:
		rows, length = 1, x.Shape[0]
	case 2:
		rows, length = x.Shape[0], x.Shape[1]
	default:
		return nil, 0, 0, invalidf("%s is neither [C] nor [N,C]", x)
	}
	if x.DType == tensor.String {
		return x.Str, rows, length, nil
	}
	v, err := ints(x)
	for _, n := range v {
		words = append(words, strconv.FormatInt(n, 10))
	}
	return words, rows, length, err
}

func inferTfIdfVectorizer(c *Inference) ([]Fact, error) {
	g, err := ngramsOf(c.Node)
	if err != nil {
		return nil, err
	}
	x := c.Input(0)
	if !x.Ranked || len(x.Shape) == 0 {
		return Typed(graph.Unranked(tensor.Float32)), nil
	}
	dims := slices.Clone(x.Shape)
	dims[len(dims)-1] = graph.Known(g.width)
	return Typed(graph.OfDims(tensor.Float32, dims)), nil
}
