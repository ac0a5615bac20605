package dataset

import (
	"slices"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestDrawnWords draws words over the whole of the tables that they pick from, however they come there, masks of
// ones with zeros behind, and other whole numbers as before.
func TestDrawnWords(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 10, opset_import: ["" : 21]>
words (int64[1,64] words, int32[1,64] kinds, int64[1,64] mask, int64[5] steps, float[1,64] x) => (float[1,64,2] y, float[1,64] z, int64[5] s) <int8[300,2] codes, float scale, int64[2] shape> {
  table = DequantizeLinear(codes, scale)
  long = Cast<to = 7>(kinds)
  row = Reshape(long, shape)
  kind = Constant<value = float[2,3] {1, 2, 3, 4, 5, 6}>()
  a = Gather(table, words)
  b = Gather<axis = -1>(kind, row)
  n = Cast<to = 1>(mask)
  z = Mul(n, x)
  y = Identity(a)
  s = Identity(steps)
}`)
	if err != nil {
		t.Fatal(err)
	}
	m.Graph.SetConst("codes", tensor.New(tensor.Int8, 300, 2))
	tables := Tables(m.Graph)
	if len(tables) != 2 || tables["words"] != 300 || tables["kinds"] != 3 {
		t.Fatalf("tables %v", tables)
	}
	for _, path := range []string{None, "random:normal"} {
		s := open(t, path, Options{Inputs: m.Graph.Required(), Tables: tables, Seed: 2, Samples: 20})
		most, padded := map[string]int64{}, false
		for i := range s.Len() {
			in := sample(t, s, i).Inputs
			for _, name := range []string{"words", "kinds", "steps"} {
				x, err := in[name].Ints()
				if err != nil || slices.Min(x) < 0 {
					t.Fatalf("%s: %s %v %v", path, name, x, err)
				}
				most[name] = max(most[name], slices.Max(x))
			}
			mask, err := in["mask"].Ints()
			there := slices.Index(mask, 0)
			if there < 0 {
				there = len(mask)
			}
			if padded = padded || there < len(mask); err != nil || there < 32 || slices.Min(mask[:there]) != 1 || there < 64 && slices.Max(mask[there:]) != 0 {
				t.Errorf("%s: mask %v %v", path, mask, err)
			}
		}
		if !padded || most["words"] < 280 || most["words"] > 299 || most["kinds"] != 2 || most["steps"] != randomTokens-1 {
			t.Errorf("%s: most are %v, padded %v", path, most, padded)
		}
		if w := strings.Join(s.Info().Warnings, " "); path == None && (!strings.Contains(w, `"words" (0 to 299), "kinds" (0 to 2), "mask" (a mask), "steps" (0 to 9)`) || !strings.Contains(w, `normal numbers are drawn for input "x"`)) {
			t.Errorf("warnings: %s", w)
		}
	}
}
