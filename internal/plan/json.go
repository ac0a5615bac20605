package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/format"
)

// Schema is the version of the JSON form.
const Schema = "lowbit.plan/v1"

// valueJSON and nodeJSON are the lines of the JSON form.
type valueJSON struct {
	Value  string    `json:"value"`
	As     string    `json:"as,omitempty"`
	Role   string    `json:"role"`
	Format string    `json:"format"`
	Block  string    `json:"block"`
	Axis   *int      `json:"axis,omitempty"`
	Flat   bool      `json:"flat,omitempty"`
	Scale  []float32 `json:"scale,omitempty"`
	Zero   []int32   `json:"zero,omitempty"`
	Begin  []float32 `json:"fitted_scale,omitempty"` // of the parameters that repairs began with
	Middle []int32   `json:"fitted_zero,omitempty"`
	Like   string    `json:"like,omitempty"`
	Input  string    `json:"input,omitempty"`
	Weight string    `json:"weight,omitempty"`
	SQNR   float64   `json:"sqnr_db,omitempty"`
	Reason string    `json:"reason"`
}

type nodeJSON struct {
	Node      string   `json:"node"`
	Op        string   `json:"op"`
	Quantized bool     `json:"quantized"`
	Inputs    []string `json:"inputs,omitempty"`
	Rows      bool     `json:"rows,omitempty"`
	Reason    string   `json:"reason"`
}

type planJSON struct {
	Schema string            `json:"schema"`
	Mode   Mode              `json:"mode"`
	Target string            `json:"target"`
	Recipe json.RawMessage   `json:"recipe,omitempty"`
	Values []json.RawMessage `json:"values"`
	Nodes  []json.RawMessage `json:"nodes"`
	Fixes  []Fix             `json:"fixes,omitempty"`
}

// MarshalJSON writes the plan with one line for each value and node.
func (p *Plan) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"schema\":%q,\"mode\":%q,\"target\":%q,\n", Schema, p.Mode, p.Target)
	if p.Recipe != nil {
		fmt.Fprintf(&b, "\"recipe\":%s,\n", p.Recipe)
	}
	b.WriteString("\"values\":[")
	for i, v := range p.Values {
		if err := writeLine(&b, i, v.line()); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n],\"nodes\":[")
	for i, n := range p.Nodes {
		if err := writeLine(&b, i, nodeJSON{n.Name, n.Op, n.Quantized, n.Inputs, n.Rows, n.Reason}); err != nil {
			return nil, err
		}
	}
	if len(p.Fixes) > 0 {
		b.WriteString("\n],\"fixes\":[")
	}
	for i, f := range p.Fixes {
		if err := writeLine(&b, i, f); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n]}")
	return b.Bytes(), nil
}

// Encode returns the JSON form as a file holds it.
func (p *Plan) Encode() ([]byte, error) {
	b, err := p.MarshalJSON()
	return append(b, '\n'), err
}

func writeLine(b *bytes.Buffer, i int, v any) error {
	if i > 0 {
		b.WriteByte(',')
	}
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b.WriteByte('\n')
	b.Write(line)
	return nil
}

func (v *Value) line() valueJSON {
	l := valueJSON{Value: v.Name, Role: v.Role, Format: v.Format, Block: v.Block.String(), Like: v.Like,
		Input: v.Input, Weight: v.Weight, SQNR: v.SQNR, Reason: v.Reason}
	if v.As != v.Name {
		l.As = v.As
	}
	if v.Block.Kind != format.Whole {
		l.Axis, l.Flat = &v.Block.Axis, v.Block.Flat
	}
	l.Scale, l.Zero = columns(v.Params)
	if !slices.Equal(v.Fitted, v.Params) {
		l.Begin, l.Middle = columns(v.Fitted)
	}
	return l
}

// columns parts parameters into scales and zero points.
func columns(list []format.Params) (scale []float32, zero []int32) {
	for _, p := range list {
		scale, zero = append(scale, p.Scale), append(zero, p.Zero)
	}
	return scale, zero
}

// joined is the inverse of columns.
func joined(scale []float32, zero []int32) (list []format.Params, err error) {
	if len(scale) != len(zero) {
		return nil, fmt.Errorf("%d scales and %d zero points", len(scale), len(zero))
	}
	for i, s := range scale {
		if !(s > 0) || s > 1e38 {
			return nil, fmt.Errorf("scale %v is not positive and finite", s)
		}
		list = append(list, format.Params{Scale: s, Zero: zero[i]})
	}
	return list, nil
}

// UnmarshalJSON reads the form that MarshalJSON writes. Unknown keys are errors.
func (p *Plan) UnmarshalJSON(data []byte) error {
	var in planJSON
	if err := strict(data, &in); err != nil {
		return err
	}
	if in.Schema != Schema {
		return fault.Invalidf("plan", "schema %q is not %q", in.Schema, Schema)
	}
	*p = Plan{Mode: in.Mode, Target: in.Target, Recipe: in.Recipe, Fixes: in.Fixes}
	for i, raw := range in.Values {
		v, err := parseValue(raw)
		if err != nil {
			return fault.Invalidf(fmt.Sprintf("plan: values[%d]", i), "%v", err)
		}
		p.Values = append(p.Values, v)
	}
	for i, raw := range in.Nodes {
		var n nodeJSON
		if err := strict(raw, &n); err != nil {
			return fault.Invalidf(fmt.Sprintf("plan: nodes[%d]", i), "%v", err)
		}
		p.Nodes = append(p.Nodes, &Node{Name: n.Node, Op: n.Op, Quantized: n.Quantized, Reason: n.Reason, Inputs: n.Inputs, Rows: n.Rows})
	}
	return nil
}

func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func parseValue(raw []byte) (*Value, error) {
	var l valueJSON
	if err := strict(raw, &l); err != nil {
		return nil, err
	}
	v := &Value{Name: l.Value, As: cmp.Or(l.As, l.Value), Role: l.Role, Format: l.Format, Like: l.Like, Input: l.Input, Weight: l.Weight, SQNR: l.SQNR, Reason: l.Reason}
	var err error
	if v.Block, err = format.ParseBlock(l.Block); err != nil {
		return nil, err
	}
	if l.Axis != nil {
		v.Block.Axis, v.Block.Flat = *l.Axis, l.Flat
	}
	if v.Role != RoleBias && format.Lookup(v.Format) == nil {
		return nil, fmt.Errorf("%q: unknown format %q", l.Value, l.Format)
	}
	if v.Params, err = joined(l.Scale, l.Zero); err == nil {
		v.Fitted, err = joined(l.Begin, l.Middle)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %v", l.Value, err)
	}
	if v.Fitted != nil && len(v.Fitted) != len(v.Params) {
		return nil, fmt.Errorf("%q: %d scales and %d fitted scales", l.Value, len(v.Params), len(v.Fitted))
	}
	return v, nil
}
