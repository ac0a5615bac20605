package op

import (
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"lowbit/internal/graph"
)

// A poly is a dimension as a sum of products of symbols: the coefficient of each product,
// which is written as its sorted symbols joined by "*". The constant term's key is "".
type poly map[string]int

// maxTerms and maxCoef bound a poly; larger ones become unknown.
const (
	maxTerms = 8
	maxCoef  = 1 << 56
)

// polyOf reads a dimension, whose name may be a polynomial that polyDim wrote. It is nil where
// nothing is known, and for names that polyDim would write differently.
func polyOf(d graph.Dim) poly {
	if d.IsKnown() {
		if d.Size > maxCoef {
			return nil
		}
		return poly{"": d.Size}
	}
	if d.Name == "" || strings.ContainsAny(d.Name, " /()") {
		return nil
	}
	p := poly{}
	for _, term := range strings.Split(strings.ReplaceAll(d.Name, "-", "+-"), "+") {
		term, negative := strings.CutPrefix(term, "-")
		coef, syms := 1, []string(nil)
		for _, f := range strings.Split(term, "*") {
			if n, err := strconv.Atoi(f); err == nil {
				coef *= n
			} else if f != "" {
				syms = append(syms, f)
			}
		}
		if negative {
			coef = -coef
		}
		if term != "" {
			p[strings.Join(syms, "*")] += coef
		}
	}
	for _, c := range p {
		if c > maxCoef || c < -maxCoef {
			return nil
		}
	}
	if polyDim(p).Name != d.Name {
		return nil
	}
	return p
}

// polyDim writes a polynomial as a dimension: a size, or a canonical name such as "12*N+1".
// A negative number, which is no size but may be an element of a shape, is a name too.
func polyDim(p poly) graph.Dim {
	if p == nil {
		return graph.Unknown
	}
	var keys []string
	for k, c := range p {
		if c != 0 && k != "" {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return constDim(p[""])
	}
	if len(keys) > maxTerms {
		return graph.Unknown
	}
	sort.Strings(keys)
	var b strings.Builder
	for _, k := range keys {
		writeTerm(&b, p[k], k)
	}
	if p[""] != 0 {
		writeTerm(&b, p[""], "")
	}
	return graph.Symbol(b.String())
}

// constDim is the dimension that stands for a number.
func constDim(n int) graph.Dim {
	if n < 0 {
		return graph.Symbol(strconv.Itoa(n))
	}
	return graph.Known(n)
}

// numberOf returns the number that d stands for, false where it is not one.
func numberOf(d graph.Dim) (int, bool) {
	if d.IsKnown() {
		return d.Size, true
	}
	if d.Name == "" || d.Name[0] != '-' {
		return 0, false
	}
	n, err := strconv.Atoi(d.Name)
	return n, err == nil
}

func writeTerm(b *strings.Builder, coef int, syms string) {
	if coef > 0 && b.Len() > 0 {
		b.WriteByte('+')
	}
	switch {
	case syms == "":
		b.WriteString(strconv.Itoa(coef))
	case coef == 1:
		b.WriteString(syms)
	case coef == -1:
		b.WriteString("-" + syms)
	default:
		b.WriteString(strconv.Itoa(coef) + "*" + syms)
	}
}

// addDims returns a + sign·b, as precisely as it is known.
func addDims(a, b graph.Dim, sign int) graph.Dim {
	if b.IsKnown() && b.Size == 0 {
		return a
	}
	p, q := polyOf(a), polyOf(b)
	if p == nil || q == nil {
		return graph.Unknown
	}
	out := poly{}
	for k, c := range p {
		out[k] = c
	}
	for k, c := range q {
		out[k] += sign * c
	}
	return polyDim(out)
}

// mulDims returns the product of dimensions, as precisely as it is known.
func mulDims(dims ...graph.Dim) graph.Dim {
	dims = slices.DeleteFunc(slices.Clone(dims), func(d graph.Dim) bool { return d.Size == 1 })
	if len(dims) == 1 {
		return dims[0]
	}
	for _, d := range dims {
		if d.IsKnown() && d.Size == 0 {
			return d
		}
	}
	out := poly{"": 1}
	for _, d := range dims {
		p := polyOf(d)
		if p == nil || len(p)*len(out) > 4*maxTerms {
			return graph.Unknown
		}
		if out = mulPoly(out, p); out == nil {
			return graph.Unknown
		}
	}
	return polyDim(out)
}

// mulPoly returns the product, nil where a coefficient grows too large.
func mulPoly(p, q poly) poly {
	out := poly{}
	for k, c := range p {
		for l, e := range q {
			if math.Abs(float64(c)*float64(e)) > maxCoef {
				return nil
			}
			syms := symbols(k, l)
			out[syms] += c * e
		}
	}
	return out
}

// symbols is the product of two products of symbols.
func symbols(k, l string) string {
	var list []string
	for _, s := range []string{k, l} {
		if s != "" {
			list = append(list, strings.Split(s, "*")...)
		}
	}
	sort.Strings(list)
	return strings.Join(list, "*")
}

// divDims returns a/b where the division is exact for every value of the symbols, which are
// taken to be nonzero; otherwise an unknown dimension.
func divDims(a, b graph.Dim) graph.Dim {
	if b.Size == 1 {
		return a
	}
	if a.Same(b) && !(a.IsKnown() && a.Size == 0) {
		return graph.Known(1)
	}
	p, q := polyOf(a), polyOf(b)
	if p == nil || q == nil {
		return graph.Unknown
	}
	out, rest := poly{}, maps.Clone(p)
	for range 4 * maxTerms { // long division
		k, l := leading(rest), leading(q)
		if rest[k] == 0 {
			return polyDim(out)
		}
		syms, ok := cancel(k, l)
		if !ok || q[l] == 0 || rest[k]%q[l] != 0 {
			break
		}
		term := poly{syms: rest[k] / q[l]}
		out[syms] += term[syms]
		for m, c := range mulPoly(q, term) {
			rest[m] -= c
		}
	}
	return graph.Unknown
}

// leading returns the term of the highest degree, of several the first by name.
func leading(p poly) string {
	best, degree := "", -1
	for k, c := range p {
		d := strings.Count(k, "*") + min(1, len(k))
		if c != 0 && (d > degree || d == degree && k < best) {
			best, degree = k, d
		}
	}
	return best
}

// cancel removes the symbols of l from those of k, false where one is missing.
func cancel(k, l string) (string, bool) {
	if l == "" {
		return k, true
	}
	if k == "" {
		return "", false
	}
	list := strings.Split(k, "*")
	for _, s := range strings.Split(l, "*") {
		i := slices.Index(list, s)
		if i < 0 {
			return "", false
		}
		list = slices.Delete(list, i, i+1)
	}
	return strings.Join(list, "*"), true
}
