package plan

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// fitted returns a plan of the chain network with parameters.
func fitted(t *testing.T) *Plan {
	t.Helper()
	m, set := parse(t, chain), settings(t, "W8A8")
	p := decide(t, m, set)
	if err := p.Fit(m, map[string]*calib.Stats{"x": seen(-1, 1), "t": seen(0, 2), "y": seen(-4, 4)}, set, 1); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRewind moves the scales of a weight as repairs do, twice, and takes that back.
func TestRewind(t *testing.T) {
	p, m := fitted(t), parse(t, chain)
	w, b := p.Value("w"), p.Value("b")
	scales, biases := slices.Clone(w.Params), slices.Clone(b.Params)
	for _, by := range []float32{2, 3} {
		moved := slices.Clone(w.Params)
		for i := range moved {
			moved[i].Scale *= by
		}
		if err := p.Rescale(m, "w", moved); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(w.Fitted, scales) || slices.Equal(w.Params, scales) || slices.Equal(b.Params, biases) {
		t.Fatalf("moved: %v and %v, first %v", w.Params, b.Params, w.Fitted)
	}
	if err := p.Rewind(m); err != nil || !slices.Equal(w.Params, scales) || !slices.Equal(b.Params, biases) || w.Fitted != nil {
		t.Errorf("back: %v and %v, %v", w.Params, b.Params, err)
	}
}

func TestJSON(t *testing.T) {
	p := fitted(t)
	p.Values = append(p.Values, &Value{Name: "w", As: "w_2", Role: RoleWeight, Format: "int4",
		Block: format.Block{Kind: format.Group, Axis: 1, Size: 2}, Params: []format.Params{{Scale: 0.5}, {Scale: 0.25}}, Fitted: []format.Params{{Scale: 0.5}, {Scale: 1, Zero: 3}}, Reason: "by hand <>&"})
	p.Recipe = json.RawMessage(`{"scheme":"W8A8"}`)
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var back Plan
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for _, v := range p.Values { // how a line came about is not written
		v.observer, v.idle = nil, false
	}
	for _, n := range p.Nodes {
		n.output, n.sum, n.halves = "", false, false
	}
	if !reflect.DeepEqual(&back, p) {
		t.Errorf("read back as %s", text)
	}
	again, err := back.Encode()
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("written again as %s (%v)", again, err)
	}
	lines := strings.Count(string(text), "\n")
	if want := 5 + len(p.Values) + len(p.Nodes); lines != want {
		t.Errorf("%d lines, want one for each value and node, %d", lines, want)
	}
	for _, want := range []string{`"fitted_scale":[0.5,1],"fitted_zero":[0,3]`, `{"value":"x","role":"activation","format":"uint8","block":"tensor","scale":[0.007843138],"zero":[127],`,
		`{"value":"b","role":"bias","format":"int32","block":"channel","axis":0,`, `"input":"x","weight":"w"`,
		`{"node":"a","op":"Gemm","quantized":true,"inputs":["x","w","b"],`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
}

// TestJSONErrors edits the text of a plan so that it cannot be read.
func TestJSONErrors(t *testing.T) {
	text, err := fitted(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{`"schema":"lowbit.plan/v1"`, `"schema":"lowbit.plan/v2"`, `schema "lowbit.plan/v2"`},
		{`"mode":"static"`, `"mood":"static"`, `unknown field "mood"`},
		{`"role":"weight"`, `"rolle":"weight"`, `plan: values[1]: json: unknown field "rolle"`},
		{`"node":"a"`, `"knot":"a"`, `plan: nodes[0]: json: unknown field "knot"`},
		{`"format":"uint8"`, `"format":"uint9"`, `"x": unknown format "uint9"`},
		{`"block":"channel"`, `"block":"row-ish"`, `block "row-ish"`},
		{`"zero":[127]`, `"zero":[127,1]`, "1 scales and 2 zero points"},
		{`"scale":[0.007843138]`, `"scale":[0]`, "scale 0 is not positive"},
		{`"scale":[0.007843138]`, `"scale":[-1]`, "scale -1 is not positive"},
		{`"scale":[0.007843138]`, `"scale":[1e39]`, "values[0]"},
	} {
		edited := strings.Replace(string(text), c.from, c.to, 1)
		if edited == string(text) {
			t.Fatalf("%s is not in the plan", c.from)
		}
		if err := json.Unmarshal([]byte(edited), &Plan{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.to, err, c.want)
		}
	}
}

// TestCheck changes a plan by hand so that it no longer fits its network.
func TestCheck(t *testing.T) {
	m := parse(t, chain)
	if err := fitted(t).Check(m); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		edit func(p *Plan)
		want string
	}{
		{"mode", func(p *Plan) { p.Mode = "fast" }, `mode "fast"`},
		{"twice", func(p *Plan) { p.Values = append(p.Values, p.Values[0]) }, `value "x" stands twice`},
		{"value", func(p *Plan) { p.Values[0].Name = "none" }, `value "x": is no value of the model that flows`},
		{"constant", func(p *Plan) { p.Value("w").Name = "none" }, `value "w": is no float constant`},
		{"role", func(p *Plan) { p.Values[0].Role = "wait" }, `role "wait"`},
		{"weight that flows", func(p *Plan) { p.Value("w").Name = "x" }, "is no float constant"},
		{"activation that is constant", func(p *Plan) { p.Values[0].Name = "w" }, "is no value of the model that flows"},
		{"axis", func(p *Plan) { p.Value("w").Block.Axis = 2 }, "axis 2 of float[2,2]"},
		{"negative axis", func(p *Plan) { p.Value("w").Block.Axis = -1 }, "axis -1"},
		{"block", func(p *Plan) { p.Value("w").Block = format.Block{} }, "has 2 scales, by tensor it needs 1"},
		{"too few", func(p *Plan) { p.Value("w").Params = p.Value("w").Params[:1] }, "has 1 scales, by channel it needs 2"},
		{"none", func(p *Plan) { p.Value("x").Params = nil }, "has 0 scales"},
		{"activation by channel", func(p *Plan) { p.Value("x").Block = format.Block{Kind: format.Channel} }, "one scale, not one by channel"},
		{"zero point", func(p *Plan) { p.Value("x").Params[0].Zero = 256 }, "zero point 256 is no code of uint8"},
		{"like", func(p *Plan) { p.Value("u").Like = "none" }, `mentions "none"`},
		{"bias format", func(p *Plan) { p.Value("b").Format = "int8" }, "a bias is int32, not int8"},
		{"node", func(p *Plan) { p.Nodes[0].Name = "none" }, `node "none": is not in the model`},
		{"input", func(p *Plan) { p.Nodes[0].Inputs[0] = "none" }, `node "a": reads "none", which has no line`},
	} {
		p := fitted(t)
		c.edit(p)
		if err := p.Check(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestObstacles(t *testing.T) {
	p := &Plan{Nodes: []*Node{{Reason: "a"}, {Op: "Conv", Reason: "b"}, {Op: "Conv", Reason: "b"}, {Op: "Gemm", Reason: "b"}, {Quantized: true, Reason: "c"}}}
	for _, op := range []string{"Exp", "Sin", "Cos", "Exp", "Log", "Tan"} {
		p.Nodes = append(p.Nodes, &Node{Op: op, Reason: "d"})
	}
	p.Nodes = append(p.Nodes, &Node{Reason: "e"})
	if got := p.Obstacles(); got != "Exp, Sin, Cos and 2 other operators: d; Conv, Gemm: b; a" || p.Quantized() != 1 {
		t.Errorf("got %q, %d quantized", got, p.Quantized())
	}
	if got := (&Plan{}).Obstacles(); got != "it has no operator with weights" {
		t.Errorf("an empty plan: %q", got)
	}
}

func TestOpset(t *testing.T) {
	p := fitted(t)
	if p.Opset() != 13 {
		t.Errorf("int8 needs opset %d", p.Opset())
	}
	p.Value("w").Block = format.Block{Kind: format.Group, Size: 2}
	if p.Opset() != 21 {
		t.Errorf("groups need opset %d", p.Opset())
	}
}

// TestQuantRows holds every operator's part in quantization to what deciding relies on.
func TestQuantRows(t *testing.T) {
	for _, o := range op.All {
		q := o.Quant
		roles := map[op.Role]int{}
		for _, r := range q.In {
			roles[r]++
		}
		if roles[op.Weight] > 0 && (q.Share || q.Clamp) {
			t.Errorf("%s multiplies by weights and only moves values", o.Name)
		}
		if q.Share && (q.Clamp || q.Integer != "" || q.Fixed != nil || q.In[0] != op.Act) {
			t.Errorf("%s moves values, and does more", o.Name)
		}
		if roles[op.Bias] > 1 || roles[op.Bias] == 1 && roles[op.Weight] != 1 {
			t.Errorf("%s has a bias without one weight", o.Name)
		}
		if (q.Output || q.Integer != "" || q.FloatOut || q.Clamp) && roles[op.Act] == 0 {
			t.Errorf("%s has a quantized result and no quantized operand", o.Name)
		}
		if q.ShapeOnly && len(q.In) > 0 {
			t.Errorf("%s does not look at elements that it wants quantized", o.Name)
		}
	}
}

// TestStays counts weights that mode static alone leaves in float, each once.
func TestStays(t *testing.T) {
	m := parse(t, `g (float[3,1,8] x, float[4,8] z) => (float[3,1,1,4] y, float[4,8] a, float[4,8] b, float[4,8] c) <float[8,8] w> {
		y = LSTM <hidden_size = 4> (x, lw, lr)
		a = MatMul (z, w)
		b = MatMul (a, w)
		c = MatMul (b, v)
	}`)
	for name, shape := range map[string][]int{"lw": {1, 16, 8}, "lr": {1, 16, 4}, "w": {8, 8}, "v": {8, 8}} {
		m.Graph.SetConst(name, tensor.New(tensor.Float32, shape...))
	}
	set := settings(t, "W8A8")
	set.Target = LookupTarget("ort-cpu")
	if ops, bytes := decide(t, m, set).Stays(); len(ops) != 1 || ops[0] != "LSTM" || bytes != 4*16*(8+4) {
		t.Errorf("%v, %d bytes", ops, bytes)
	}
	if ops, bytes := decide(t, m, set, "z", "a").Stays(); len(ops) != 2 || bytes != 4*(16*(8+4)+8*8) {
		t.Errorf("with products that calibration does not see: %v, %d bytes", ops, bytes)
	}
	set.Leave = map[string]string{"a": "left", "b": "left"}
	if ops, _ := decide(t, m, set, "z", "a").Stays(); len(ops) != 1 {
		t.Errorf("what is left in float on purpose: %v", ops)
	}
	set.Mode = Dynamic
	if ops, bytes := decide(t, m, set).Stays(); len(ops) != 0 || bytes != 0 {
		t.Errorf("in mode dynamic: %v, %d bytes", ops, bytes)
	}
}
