package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/plan"
)

// quantizeJSON is what quantize prints with --json.
type quantizeJSON struct {
	Schema      string      `json:"schema"`
	Output      string      `json:"output"`
	BytesBefore int64       `json:"bytes_before"`
	BytesAfter  int64       `json:"bytes_after"`
	Seconds     float64     `json:"seconds"`
	SHA256      string      `json:"sha256"`
	SQNR        *float64    `json:"sqnr_db,omitempty"`
	Layers      []layerJSON `json:"layers"`
	Warnings    []string    `json:"warnings"`
}

// layerJSON is one node of the plan.
type layerJSON struct {
	Name    string  `json:"name"`
	Op      string  `json:"op"`
	Weights string  `json:"weights"`
	Acts    string  `json:"acts"`
	SQNR    float64 `json:"sqnr_db"`
	Reason  string  `json:"reason"`
}

func quantizeReport(m *lowbit.Model, r *lowbit.Result, out string) (*quantizeJSON, error) {
	before, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	after, sum, err := sizeAndSum(out)
	if err != nil {
		return nil, err
	}
	rep := &quantizeJSON{Schema: "lowbit.quantize/v1", Output: out, BytesBefore: before, BytesAfter: after,
		Seconds: r.Elapsed.Seconds(), SHA256: sum, Warnings: r.Warnings}
	if r.Gate != nil {
		rep.SQNR = &r.Gate.SQNR
	}
	for _, n := range r.Plan.Nodes {
		rep.Layers = append(rep.Layers, layerOf(r.Plan, n))
	}
	return rep, nil
}

func layerOf(p *plan.Plan, n *plan.Node) layerJSON {
	l := layerJSON{Name: n.Name, Op: n.Op, Weights: "float", Acts: "float", Reason: n.Reason}
	for _, as := range n.Inputs {
		v := p.Value(as)
		switch {
		case as == "" || v == nil:
		case v.Role == plan.RoleWeight:
			l.Weights, l.SQNR = v.Format+":"+v.Block.String(), v.SQNR
		case v.Role == plan.RoleActivation:
			l.Acts = v.Format
		}
	}
	return l
}

// sizeAndSum returns the size of an output with its data file, and the SHA-256 of its bytes.
func sizeAndSum(path string) (int64, string, error) {
	h := sha256.New()
	var n int64
	for _, p := range []string{path, path + ".data"} {
		f, err := os.Open(p)
		if os.IsNotExist(err) && p != path {
			break
		}
		if err != nil {
			return 0, "", fault.IOf(p, err)
		}
		k, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			return 0, "", fault.IOf(p, err)
		}
		n += k
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

func (a *app) writePlan(p *plan.Plan, path string) error {
	b, err := p.Encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { _, err := w.Write(b); return err }, atomicfile.Options{Force: a.force})
}
