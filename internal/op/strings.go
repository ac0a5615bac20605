package op

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalStringConcat(c *Call) ([]*tensor.Tensor, error) {
	a, b := c.In[0], c.In[1]
	shape, err := BroadcastShape(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	out, err := newChecked(tensor.String, shape...)
	if err != nil {
		return nil, err
	}
	eachIndex(shape, [][]int{broadcastStrides(a.Shape, shape), broadcastStrides(b.Shape, shape)}, func(i int, off []int) {
		out.Str[i] = a.Str[off[0]] + b.Str[off[1]]
	})
	return []*tensor.Tensor{out}, nil
}

func inferStringConcat(c *Inference) ([]Fact, error) {
	return inferBroadcast(tensor.String, c.Input(0), c.Input(1))
}

// letterCase is what the values of case_change_action do.
var letterCase = map[string]func(string) string{
	"NONE":  func(s string) string { return s },
	"LOWER": strings.ToLower,
	"UPPER": strings.ToUpper,
}

// evalStringNormalizer drops stop words from (C) or (1,C) and changes the letter case. What is
// left of nothing is one empty string.
func evalStringNormalizer(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if x.Rank() != 1 && (x.Rank() != 2 || x.Shape[0] != 1) {
		return nil, invalidf("%s is neither [C] nor [1,C]", x)
	}
	change := letterCase[c.Str("case_change_action", "NONE")]
	if change == nil {
		return nil, invalidf("case_change_action %q is not known", c.Str("case_change_action", ""))
	}
	fold := strings.ToLower
	if c.Bool("is_case_sensitive", false) {
		fold = letterCase["NONE"]
	}
	stop := map[string]bool{}
	for _, w := range c.Strs("stopwords") {
		stop[fold(w)] = true
	}
	var out []string
	for _, s := range x.Str {
		if !stop[fold(s)] {
			out = append(out, change(s))
		}
	}
	if len(out) == 0 {
		out = []string{""}
	}
	shape := slices.Clone(x.Shape)
	shape[len(shape)-1] = len(out)
	return []*tensor.Tensor{tensor.Strings(out, shape...)}, nil
}

func inferStringNormalizer(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked || len(x.Shape) == 0 {
		return Typed(graph.Unranked(tensor.String)), nil
	}
	t := graph.OfDims(tensor.String, x.Shape)
	t.Shape[len(t.Shape)-1] = graph.Unknown
	return Typed(t), nil
}

// evalStringSplit returns the parts of each string in one more axis, padded with empty strings,
// and their number.
func evalStringSplit(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	delimiter, most := c.Str("delimiter", ""), -1
	if c.HasAttr("maxsplit") {
		most = max(0, c.Int("maxsplit", 0))
	}
	parts := make([][]string, len(x.Str))
	counts := make([]int64, len(x.Str))
	widest := 0
	for i, s := range x.Str {
		switch {
		case delimiter == "":
			parts[i] = splitFields(s, most)
		case most < 0:
			parts[i] = strings.Split(s, delimiter)
		default:
			parts[i] = strings.SplitN(s, delimiter, max(most, most+1))
		}
		counts[i] = int64(len(parts[i]))
		widest = max(widest, len(parts[i]))
	}
	out, err := newChecked(tensor.String, append(slices.Clone(x.Shape), widest)...)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		copy(out.Str[i*widest:], p)
	}
	return []*tensor.Tensor{out, tensor.Int64s(counts, x.Shape...)}, nil
}

// splitFields splits around white space at most times, as often as it can if most is negative.
// What is left keeps its inner white space.
func splitFields(s string, most int) []string {
	if most < 0 {
		return strings.Fields(s)
	}
	var out []string
	for s = strings.TrimSpace(s); s != ""; most-- {
		end := strings.IndexFunc(s, unicode.IsSpace)
		if end < 0 || most == 0 {
			return append(out, s)
		}
		out = append(out, s[:end])
		s = strings.TrimLeftFunc(s[end:], unicode.IsSpace)
	}
	return out
}

func inferStringSplit(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(tensor.String), graph.Unranked(tensor.Int64)), nil
	}
	return Typed(graph.OfDims(tensor.String, append(slices.Clone(x.Shape), graph.Unknown)), graph.OfDims(tensor.Int64, x.Shape)), nil
}

// evalRegexFullMatch says which strings the pattern (RE2 syntax) matches from end to end.
func evalRegexFullMatch(c *Call) ([]*tensor.Tensor, error) {
	re, err := regexp.Compile(`\A(?:` + c.Str("pattern", "") + `)\z`)
	if err != nil {
		return nil, invalidf("pattern %q: %v", c.Str("pattern", ""), err)
	}
	x := c.In[0]
	out := tensor.New(tensor.Bool, x.Shape...)
	for i, s := range x.Str {
		if re.MatchString(s) {
			out.Raw[i] = 1
		}
	}
	return []*tensor.Tensor{out}, nil
}
